import { Suspense, useEffect, useState } from "react";
import { ConnectionBanner } from "../components/connection_banner.jsx";
import { A } from "../components/link.jsx";
import { Empty, Skeleton } from "../components/notice.jsx";
import { plural } from "../lib/format.js";
import { useLocation } from "../lib/router.js";
import { RulesProvider, useRules } from "../lib/rules_context.jsx";
import { ErrorBoundary } from "./error_boundary.jsx";
import { Nav } from "./nav.jsx";
import { pageAt } from "./pages.js";
import { Shortcuts, useShortcuts } from "./shortcuts.jsx";

function Loading() {
  return (
    <div className="page">
      <Skeleton rows={4} height={20} />
    </div>
  );
}

function NotFound({ path }) {
  return (
    <div className="page">
      <header className="page-head">
        <h1>Not found</h1>
      </header>
      <Empty title={`There is no page at ${path}`}>
        The address may have been cut when it was copied. <A href="/">Go to the overview</A>.
      </Empty>
    </div>
  );
}

function Shell() {
  const { path } = useLocation();
  const [help, setHelp] = useState(false);
  const page = pageAt(path);
  const { firing } = useRules();
  useShortcuts(() => setHelp(true));

  useEffect(() => {
    const count = firing > 0 ? `(${firing}) ` : "";
    document.title = `${count}${page?.name ?? "Not found"} · Quarterdeck`;
  }, [firing, page]);

  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Nav page={page} onHelp={() => setHelp(true)} />
      <main id="main" tabIndex={-1}>
        <ErrorBoundary key={path}>
          <Suspense fallback={<Loading />}>{page ? <page.Page /> : <NotFound path={path} />}</Suspense>
        </ErrorBoundary>
      </main>
      <p className="visually-hidden" role="status">
        {firing > 0 && `${plural(firing, "alert")} firing`}
      </p>
      <ConnectionBanner />
      {help && <Shortcuts onClose={() => setHelp(false)} />}
    </div>
  );
}

export function App() {
  return (
    <RulesProvider>
      <Shell />
    </RulesProvider>
  );
}
