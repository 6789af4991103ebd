// A titled frame. Title: the question that it answers. figure: the one number that matters now. href: where to dig.
import { Search } from "./icons.jsx";
import { A } from "./link.jsx";

export function Panel({ title, unit, figure, href, hrefLabel = "Open in Explore", className = "", children }) {
  return (
    <section className={`panel ${className}`} aria-label={title}>
      <header className="panel-head">
        <h2 className="panel-title">{title}</h2>
        {unit && <span className="panel-unit">{unit}</span>}
        {href && (
          <A className="panel-open" href={href} aria-label={`${hrefLabel}: ${title}`} title={hrefLabel}>
            <Search size={14} />
          </A>
        )}
        {figure !== undefined && <span className="panel-figure">{figure}</span>}
      </header>
      {children}
    </section>
  );
}
