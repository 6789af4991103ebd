// How many services and containers there are and how they are, in a strip of fixed height that leads to them.
import { containers, services } from "../../api/platform.js";
import { Right } from "../../components/icons.jsx";
import { A } from "../../components/link.jsx";
import { State } from "../../components/state.jsx";
import { plural } from "../../lib/format.js";
import { usePoll } from "../../lib/hooks.js";
import { beatFor, countContainers, countServices } from "../../lib/inventory.js";

function Tile({ title, href, state, children }) {
  let content = <span className="skeleton inventory-skeleton" />;
  if (state.data) content = children;
  else if (state.error) content = <State level="none">Not known</State>;
  return (
    <A href={href} className="inventory-tile">
      <b>{title}</b>
      <span className="inventory-counts">{content}</span>
      <Right size={14} className="chevron" />
    </A>
  );
}

const Count = ({ level, children }) => (
  <State level={level} plain>
    {children}
  </State>
);

function Services({ list }) {
  const counts = countServices(list);
  if (counts.all === 0) return <span className="inventory-more">None is found yet: what to do</span>;
  const kinds = [...new Set(list.map((one) => one.kind))];
  return (
    <>
      {counts.down > 0 && <Count level="bad">{counts.down} down</Count>}
      {counts.unreadable > 0 && <Count level="warn">{counts.unreadable} unreadable</Count>}
      <Count level="good">{counts.up} up</Count>
      <span className="inventory-more">{kinds.join(", ")}</span>
    </>
  );
}

function Containers({ engine, list }) {
  const counts = countContainers(list);
  if (engine.state === "away") return <Count level="bad">The engine is away</Count>;
  if (engine.state === "off") return <span className="inventory-more">No container engine is watched</span>;
  if (counts.all === 0) return <span className="inventory-more">None runs under this engine</span>;
  return (
    <>
      {counts.bad > 0 && <Count level="bad">{counts.bad} failing</Count>}
      {counts.warn > 0 && <Count level="warn">{counts.warn} to look at</Count>}
      <Count level="good">{counts.running} running</Count>
      <span className="inventory-more">
        {counts.projects > 0 ? `${plural(counts.all, "container")} in ${plural(counts.projects, "project")}` : ""}
      </span>
    </>
  );
}

export function Inventory({ paused }) {
  const found = usePoll("services", (signal) => services({ signal }), { paused });
  const engine = usePoll("containers", (signal) => containers({ signal }), {
    paused,
    interval_ms: () => beatFor(engine.data?.containers.length ?? 0),
  });
  return (
    <section className="inventory" aria-label="What runs here">
      <Tile title="Services" href="/services" state={found}>
        {found.data && <Services list={found.data.services} />}
      </Tile>
      <Tile title="Containers" href="/containers" state={engine}>
        {engine.data && <Containers engine={engine.data.engine} list={engine.data.containers} />}
      </Tile>
    </section>
  );
}
