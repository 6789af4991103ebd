// The pages: their addresses, names, keys after "g", and code. Overview comes with the first load, the rest when asked for.
import { lazy } from "react";
import { Bell, Gauge, Info, Search, Target } from "../components/icons.jsx";
import { Overview } from "../pages/overview/overview.jsx";

const loaders = {
  explore: () => import("../pages/explore/explore.jsx"),
  alerts: () => import("../pages/alerts/alerts.jsx"),
  targets: () => import("../pages/targets/targets.jsx"),
  status: () => import("../pages/status/status.jsx"),
};

const later = (load, name) => lazy(() => load().then((module) => ({ default: module[name] })));

export const kPages = [
  { path: "/", name: "Overview", key: "o", icon: Gauge, Page: Overview },
  {
    path: "/explore",
    name: "Explore",
    key: "e",
    icon: Search,
    Page: later(loaders.explore, "Explore"),
    load: loaders.explore,
  },
  {
    path: "/alerts",
    name: "Alerts",
    key: "a",
    icon: Bell,
    Page: later(loaders.alerts, "Alerts"),
    load: loaders.alerts,
  },
  {
    path: "/targets",
    name: "Targets",
    key: "t",
    icon: Target,
    Page: later(loaders.targets, "Targets"),
    load: loaders.targets,
  },
  {
    path: "/status",
    name: "Status",
    key: "s",
    icon: Info,
    Page: later(loaders.status, "Status"),
    load: loaders.status,
  },
];

// Addresses of Prometheus's own page, which alerts and old bookmarks carry.
const kOther = { "/graph": "/explore", "/query": "/explore" };

export function pageAt(path) {
  const plain = path.length > 1 ? path.replace(/\/+$/, "") : path;
  return kPages.find((page) => page.path === (kOther[plain] ?? plain)) ?? null;
}
