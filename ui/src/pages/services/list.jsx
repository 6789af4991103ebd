// Every service with its state and its three pictures, by kind; what is wrong first.
import { useEffect, useMemo, useRef, useState } from "react";
import { containers } from "../../api/platform.js";
import { queryRange } from "../../api/prometheus.js";
import { alignMatrix } from "../../charts/shape.js";
import { CodeBox, Why } from "../../components/code_box.jsx";
import { A } from "../../components/link.jsx";
import { Failure, Skeleton } from "../../components/notice.jsx";
import { Segments } from "../../components/segments.jsx";
import { State } from "../../components/state.jsx";
import { plural } from "../../lib/format.js";
import { useFetch, useInView } from "../../lib/hooks.js";
import { countServices, placeOf, serviceHref, serviceState } from "../../lib/inventory.js";
import { useParam } from "../../lib/router.js";
import { recall, remember } from "../../lib/storage.js";
import { formatAgo, formatSpan, parseStamp } from "../../lib/time.js";
import { groupServices, selectionOf } from "./groups.js";
import { kindOf } from "./kinds.js";
import { SmallPicture } from "./small_picture.jsx";
import { useServices } from "./use_services.js";

const kRange = "30m";
const kPoints = 120;
const kRemembered = "services";

// One picture of all services of a kind: {x, range, lines: Map of instance to series}.
function useKindPicture(picture, kind, range, interval_s) {
  const expr = picture && range && picture.query({ select: selectionOf(kind), step: range.step, interval: interval_s });
  return useFetch(expr ? `${expr} ${range.start} ${range.end} ${range.step}` : null, async (signal) => {
    const answer = await queryRange(expr, range, { signal });
    const { x, series } = alignMatrix(answer.result, range);
    const lines = new Map();
    for (const one of series) {
      const instance = one.metric.instance ?? "";
      if (!lines.has(instance)) lines.set(instance, []);
      lines.get(instance).push(one);
    }
    return { x, range, lines };
  });
}

function Facts({ service, now }) {
  const passed = parseStamp(service.lastPass);
  const place = placeOf(service);
  return (
    <div className="service-facts">
      <code title={service.address}>{service.address}</code>
      <span title={place}>{place || "in no project"}</span>
      <span title={service.foundBy}>{service.foundBy}</span>
      <span>
        {passed === null
          ? service.state === "off"
            ? "not read"
            : "not read yet"
          : `${plural(service.samples, "sample")} in ${formatSpan(service.passSeconds)}, ${formatAgo(passed, now)}`}
      </span>
    </div>
  );
}

function Row({ service, pictures, answers, now }) {
  const box = useRef(null);
  const inView = useInView(box);
  const { level, word } = serviceState(service);
  const seen = useRef(false);
  seen.current ||= inView;
  const shown = answers.map(({ data, error }, i) => {
    const lines = data?.lines.get(service.address) ?? [];
    return { picture: pictures[i], data, error, shape: data ? pictures[i].shape(lines) : null };
  });
  const nothing = shown.length > 0 && shown.every(({ data, shape }) => data && !shape);
  const why = service.state !== "up" && service.why;
  let body = shown.map(({ picture, data, error, shape }) => (
    <SmallPicture key={picture.id} picture={picture} data={data} error={error} shape={shape} draws={seen.current} />
  ));
  if (pictures.length === 0)
    body = <p className="service-nothing">Quarterdeck recognises this kind, and does not measure it yet.</p>;
  else if (service.state === "off")
    body = <p className="service-nothing">Nothing is read from it, as was asked for.</p>;
  else if (nothing)
    body = (
      <p className="service-nothing">
        No sample of it in the last 30 minutes{why ? ": below stands why." : "; the next pass may bring the first."}
      </p>
    );
  return (
    <li className="service" ref={box}>
      <div className="service-head">
        <State level={level}>{word}</State>
        <h3>
          <A href={serviceHref(service)} title={service.name}>
            {service.name}
          </A>
        </h3>
        <Facts service={service} now={now} />
      </div>
      <div className="service-pictures">{body}</div>
      {why && service.state !== "off" && <Why why={why} level={level} />}
    </li>
  );
}

function Group({ group, range, now }) {
  const box = useRef(null);
  const inView = useInView(box);
  const { pictures } = kindOf(group.kind);
  // What is out of sight keeps its last pictures and asks for no newer ones.
  const asked = inView ? range : null;
  const answers = [
    useKindPicture(pictures[0], group.kind, asked, group.interval_s),
    useKindPicture(pictures[1], group.kind, asked, group.interval_s),
    useKindPicture(pictures[2], group.kind, asked, group.interval_s),
  ].slice(0, pictures.length);
  return (
    <section className="panel group" aria-label={group.name} ref={box}>
      <header className="group-head">
        <h2>{group.name}</h2>
        <span className="quiet">
          {group.up} of {group.all} up
        </span>
      </header>
      <ul>
        {group.services.map((service) => (
          <Row
            key={`${service.address} ${service.variant}`}
            service={service}
            pictures={pictures}
            answers={answers}
            now={now}
          />
        ))}
      </ul>
    </section>
  );
}

const kExample = `observe:
  docker: {socket: /var/run/docker.sock}
  postgres: [{address: "127.0.0.1:5432", user: monitor, password: "file:/run/secrets/pg"}]
  redis: [{address: "127.0.0.1:6379"}]
  nginx: [{status_url: "http://127.0.0.1/stub_status"}]`;

function Nothing() {
  const { data, error } = useFetch("engine", (signal) => containers({ signal }));
  if (!data && !error) return <Waiting />;
  const engine = data?.engine;
  return (
    <section className="panel nothing">
      <h2>No service is found yet</h2>
      <p>
        Quarterdeck looks at the containers of this machine's engine, and at the processes that listen outside of them,
        for PostgreSQL, MySQL and MariaDB, Redis and Valkey, memcached, nginx, and pages in the format of OpenMetrics.
        Nothing of that runs here, or it cannot be seen.
      </p>
      {engine?.state === "away" && (
        <>
          <p>
            <State level="bad" plain>
              The container engine at {engine.socket} is away
            </State>
          </p>
          <Why why={engine.why} />
        </>
      )}
      {engine?.state === "off" && (
        <p>No container engine is watched: observe.docker.enabled says so, or there is none.</p>
      )}
      <p>
        What is not found can be declared in <code>quarterdeck.yaml</code>, as <code>observe.postgres</code>,{" "}
        <code>observe.mysql</code>, <code>observe.redis</code>, <code>observe.memcached</code> or{" "}
        <code>observe.nginx</code>; where the engine's socket is says <code>observe.docker.socket</code>. For example:
      </p>
      <CodeBox code={kExample} label="Copy the example" />
    </section>
  );
}

// As much room as the services took the last time.
function Waiting() {
  const [rows] = useState(() => recall(kRemembered, 4));
  return (
    <div className="panel" style={{ minHeight: Math.min(rows, 40) * 132 }}>
      <Skeleton rows={Math.min(rows, 8) * 3} height={24} />
    </div>
  );
}

export function List() {
  const { services, range, error, ready, now } = useServices(kRange, { points: kPoints });
  const [show, setShow] = useParam("state", "all");
  const [text, setText] = useParam("q");
  const counts = useMemo(() => countServices(services), [services]);
  const groups = useMemo(() => groupServices(services, show, text), [services, show, text]);
  const wrong = counts.down + counts.unreadable + counts.unknown;
  useEffect(() => {
    if (ready) remember(kRemembered, counts.all);
  }, [ready, counts.all]);

  let body;
  if (!ready && error) body = <Failure error={error} />;
  else if (!ready) body = <Waiting />;
  else if (counts.all === 0) body = <Nothing />;
  else if (groups.length === 0) {
    body = (
      <div className="panel">
        <div className="notice">
          <p className="notice-title">{show === "wrong" && !text ? "Nothing is wrong" : "No service matches"}</p>
          <p className="notice-hint">
            {show === "wrong" && !text ? `All ${counts.up} are up and read.` : "Choose All, or search for less."}
          </p>
        </div>
      </div>
    );
  } else body = groups.map((group) => <Group key={group.kind} group={group} range={range} now={now} />);

  const number = (count) => (ready ? count : "–");
  const parts = [
    `${counts.up} of ${plural(counts.all, "service")} up`,
    counts.down > 0 && `${counts.down} down`,
    counts.unreadable > 0 && `${counts.unreadable} unreadable`,
  ];
  return (
    <div className="page">
      <header className="page-head">
        <h1>Services</h1>
        <p className="quiet head-note">{ready && counts.all > 0 && parts.filter(Boolean).join(", ")}</p>
        <div className="controls">
          <Segments
            label="State"
            options={[
              { value: "all", label: "All", count: number(counts.all) },
              { value: "wrong", label: "Not up", count: number(wrong) },
              { value: "up", label: "Up", count: number(counts.up) },
              { value: "off", label: "Off", count: number(counts.off) },
            ]}
            value={show}
            onChange={setShow}
          />
          <input
            className="field"
            type="search"
            data-key="/"
            placeholder="Search services"
            aria-label="Search services"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
      </header>
      <div className="stack">{body}</div>
    </div>
  );
}
