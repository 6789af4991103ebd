// The pages: their addresses, names, keys after "g", and code. Overview comes with the first load, the rest when asked for.
import { lazy } from "react";
import { Bell, Box, Gauge, Info, Layers, Search, Target } from "../components/icons.jsx";
import { Overview } from "../pages/overview/overview.jsx";

const loaders = {
  services: () => import("../pages/services/services.jsx"),
  containers: () => import("../pages/containers/containers.jsx"),
  explore: () => import("../pages/explore/explore.jsx"),
  alerts: () => import("../pages/alerts/alerts.jsx"),
  targets: () => import("../pages/targets/targets.jsx"),
  status: () => import("../pages/status/status.jsx"),
};

const later = (load, name) => lazy(() => load().then((module) => ({ default: module[name] })));

// `below`: what stands below its address is the page's as well. `seldom`: on a phone it has no room in the bar.
export const kPages = [
  { path: "/", name: "Overview", key: "o", icon: Gauge, Page: Overview },
  {
    path: "/services",
    name: "Services",
    key: "v",
    icon: Layers,
    Page: later(loaders.services, "Services"),
    load: loaders.services,
    below: true,
  },
  {
    path: "/containers",
    name: "Containers",
    key: "c",
    icon: Box,
    Page: later(loaders.containers, "Containers"),
    load: loaders.containers,
  },
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
    seldom: true,
  },
  {
    path: "/status",
    name: "Status",
    key: "s",
    icon: Info,
    Page: later(loaders.status, "Status"),
    load: loaders.status,
    seldom: true,
    below: true,
  },
];

// Addresses of Prometheus's own page, which alerts and old bookmarks carry.
const kOther = { "/graph": "/explore", "/query": "/explore" };

export function pageAt(path) {
  const plain = path.length > 1 ? path.replace(/\/+$/, "") : path;
  const fits = (page) => page.path === (kOther[plain] ?? plain) || (page.below && plain.startsWith(`${page.path}/`));
  return kPages.find(fits) ?? null;
}
