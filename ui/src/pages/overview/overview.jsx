// This machine, live: what fires, then how it does.
import "../../styles/overview.css";
import { useMemo, useState } from "react";
import { LiveControls } from "../../components/live_controls.jsx";
import { LivePanel } from "../../components/live_panel.jsx";
import { Empty, Failure } from "../../components/notice.jsx";
import { clockOffset } from "../../lib/clock.js";
import { formatBytes, plural } from "../../lib/format.js";
import { kDefaultRange, kRanges } from "../../lib/live_range.js";
import { useParam } from "../../lib/router.js";
import { formatClock, formatDate, formatSpan } from "../../lib/time.js";
import { Filesystems } from "./filesystems.jsx";
import { Firing } from "./firing.jsx";
import { Inventory } from "./inventory.jsx";
import { Limits } from "./limits.jsx";
import { useLive } from "./live.js";
import { exploreQueries, panelQueries } from "./queries.js";
import { cpuShape, diskShape, loadShape, memoryShape, networkShape, pressureShape } from "./shapes.js";

const kSkewTold_s = 30;

const kPanels = [
  {
    id: "cpu",
    title: "What the processor does",
    unitName: "all cores",
    unit: "percent",
    shape: cpuShape,
    empty: {
      title: "No processor time yet",
      hint: "A rate needs two samples; the second comes a second after the start.",
    },
  },
  {
    id: "memory",
    title: "Memory in use",
    unitName: "all memory",
    unit: "bytes",
    shape: memoryShape,
    empty: { title: "No memory figures", hint: "The host collector could not read /proc/meminfo; its log says why." },
  },
  {
    id: "load",
    title: "Load against the cores",
    unitName: "tasks",
    unit: "count",
    shape: loadShape,
    empty: { title: "No load figures", hint: "The host collector could not read /proc/loadavg; its log says why." },
  },
  {
    id: "disk",
    title: "Disk reads and writes",
    unitName: "B/s",
    unit: "bytes_per_s",
    shape: diskShape,
    empty: {
      title: "No disk has reads and writes to show",
      hint: "Containers often see no disks: set observe.host.procfs and .sysfs to the host's.",
    },
  },
  {
    id: "network",
    title: "Network in and out",
    unitName: "B/s",
    unit: "bytes_per_s",
    shape: networkShape,
    empty: {
      title: "No network interface besides loopback",
      hint: "Loopback and virtual interfaces of containers are left out here; Explore has them.",
    },
  },
  {
    id: "pressure",
    title: "Time lost waiting",
    unitName: "share of time",
    unit: "percent",
    shape: pressureShape,
    empty: {
      title: "This kernel reports no pressure",
      hint: "Linux 4.20 and later does; some distributions want psi=1 on the kernel's command line.",
    },
  },
];

function stamp(time_s, now_s) {
  const clock = formatClock(time_s, false);
  return formatDate(time_s) === formatDate(now_s) ? clock : `${formatDate(time_s)} ${clock}`;
}

// The long ones may be cut where there is no room for all. `begins` is null where the pictures fill their range.
function Facts({ host, now, begins }) {
  if (!host) return <div className="facts" />;
  const facts = [
    ["System", host.os, "fact-long"],
    ["Kernel", host.kernel && `${host.kernel}${host.arch ? ` ${host.arch}` : ""}`, "fact-long"],
    ["Cores", host.cores],
    ["Memory", host.memory_bytes && formatBytes(host.memory_bytes)],
    ["Up for", host.boot_s && formatSpan(now - host.boot_s)],
    ["Data begins", begins && stamp(begins, now)],
  ].filter(([, value]) => value);
  return (
    <dl className="facts">
      {facts.map(([name, value, className]) => (
        <div key={name} className={className}>
          <dt>{name}</dt>
          <dd title={className && value}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function HostName({ live, onHost }) {
  const { host, hosts } = live;
  if (!host) return live.ready ? "This machine" : <span className="skeleton title-skeleton" />;
  if (hosts.length < 2) return host.nodename || host.instance;
  return (
    <select
      aria-label="Host"
      title={`${plural(hosts.length, "host")} are observed here`}
      className="host-select"
      value={host.instance}
      onChange={(event) => onHost(event.target.value)}
    >
      {hosts.map((one) => (
        <option key={one.instance} value={one.instance}>
          {one.instance}
        </option>
      ))}
    </select>
  );
}

export function Overview() {
  const [rangeParam, setRange] = useParam("range", kDefaultRange);
  const [hostParam, setHost] = useParam("host");
  const [paused, setPaused] = useState(false);
  const range = kRanges.includes(rangeParam) ? rangeParam : kDefaultRange;
  const live = useLive(range, hostParam, paused);
  const { host, range: drawn } = live;
  const queries = useMemo(
    () => (host && drawn ? panelQueries({ host: host.instance, step: drawn.step, interval: host.interval_s }) : {}),
    [host, drawn],
  );
  const explore = host ? exploreQueries(host.instance) : {};
  const skew = clockOffset();

  return (
    <div className="page overview">
      <header className="page-head">
        <h1>
          <HostName live={live} onHost={setHost} />
        </h1>
        <Facts host={host} now={live.now} begins={live.begins} />
        <LiveControls range={range} setRange={setRange} paused={paused} setPaused={setPaused} />
      </header>
      <Firing />
      <Inventory paused={paused} />
      {!live.ready && live.error && live.error.kind !== "unreachable" && <Failure error={live.error} />}
      {live.ready && !host && (
        <Empty title="No host is observed yet">
          The first samples come within a second of the start. If this stays, observe.host.enabled is off or the host
          collector fails: see Targets and the log.
        </Empty>
      )}
      <div className="panels">
        {(host || !live.ready) &&
          kPanels.map((panel) => (
            <LivePanel
              key={panel.id}
              picture={panel}
              shape={panel.id === "load" ? (result, at) => loadShape(result, at, host?.cores) : panel.shape}
              expr={queries[panel.id]}
              range={drawn}
              explore={explore[panel.id]}
              rangeText={range}
              syncKey="overview"
            />
          ))}
        {(host || !live.ready) && (
          <>
            <Filesystems expr={queries.filesystems} beat={live.now} explore={explore.filesystems} />
            <Limits host={host} ready={live.ready} />
          </>
        )}
      </div>
      {Math.abs(skew) > kSkewTold_s && live.ready && (
        <p className="page-note">
          This browser's clock is {formatSpan(skew)} {skew > 0 ? "behind" : "ahead of"} the server's. Pictures follow
          the server's clock.
        </p>
      )}
    </div>
  );
}
