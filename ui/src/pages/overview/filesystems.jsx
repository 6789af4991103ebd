import { useEffect, useState } from "react";
import { query } from "../../api/prometheus.js";
import { Bar } from "../../components/bar.jsx";
import { Empty, Failure, Skeleton } from "../../components/notice.jsx";
import { Panel } from "../../components/panel.jsx";
import { State } from "../../components/state.jsx";
import { exploreHref } from "../../lib/explore_href.js";
import { formatBytes, formatPercent } from "../../lib/format.js";
import { useFetch } from "../../lib/hooks.js";
import { recall, remember } from "../../lib/storage.js";
import { filesystemRows } from "./shapes.js";

const kRowsShown = 6;
const kHead_px = 28;
const kRow_px = 53;
const kRowsRemembered = "filesystems";

function Row({ row }) {
  return (
    <tr>
      <th scope="row">
        <span className="fs-mount" title={row.mountpoint}>
          {row.mountpoint}
        </span>
        <span className="fs-device">
          {row.device} · {row.fstype}
          {row.readonly === 1 && " · read-only"}
        </span>
      </th>
      <td className="fs-bar">
        <Bar percent={row.used} level={row.level} label={`${row.mountpoint} used`} />
      </td>
      <td className="num fs-used">{formatPercent(row.used)}</td>
      <td className="num fs-left">{formatBytes(row.avail_bytes)}</td>
      <td className="num fs-size">{formatBytes(row.size_bytes)}</td>
      <td className="num fs-inodes">{row.inodes === null ? "–" : formatPercent(row.inodes)}</td>
      <td className="fs-state">
        <State level={row.level} plain>
          {row.word}
        </State>
      </td>
    </tr>
  );
}

export function Filesystems({ expr, beat, explore }) {
  const [all, setAll] = useState(false);
  const { data, error } = useFetch(expr ? `${expr} ${beat}` : null, async (signal) =>
    filesystemRows((await query(expr, { signal })).result),
  );
  // As many rows as there were the last time have their room before they come.
  const [expected] = useState(() => recall(kRowsRemembered, 2));
  const rows = Math.min(data?.length ?? expected, kRowsShown);
  useEffect(() => {
    if (data) remember(kRowsRemembered, data.length);
  }, [data]);
  let body = <Skeleton rows={4} height={24} />;
  if (data?.length > 0) {
    body = (
      <table className={data.length === 1 ? "table fs-table fs-one" : "table fs-table"}>
        <thead>
          <tr>
            <th scope="col">Mounted at</th>
            <th scope="col" className="fs-bar">
              <span className="visually-hidden">Used, as a bar</span>
            </th>
            <th scope="col" className="num">
              Used
            </th>
            <th scope="col" className="num fs-left">
              Left
            </th>
            <th scope="col" className="num fs-size">
              Size
            </th>
            <th scope="col" className="num fs-inodes">
              Inodes
            </th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {(all ? data : data.slice(0, kRowsShown)).map((row) => (
            <Row key={row.device} row={row} />
          ))}
        </tbody>
      </table>
    );
  } else if (data) {
    body = (
      <Empty title="No filesystem on a disk is mounted here">
        In a container Quarterdeck sees the container's own mounts. Mount the host's root and name it with
        observe.host.rootfs.
      </Empty>
    );
  } else if (error) body = <Failure error={error} />;
  return (
    <Panel
      title="Room left on filesystems"
      unit="fullest first"
      className="panel-wide"
      href={explore && exploreHref([{ expr: explore, tab: "table" }], {})}
    >
      <div className="fs-space" style={{ minHeight: kHead_px + kRow_px * Math.max(rows, 2) }}>
        {body}
      </div>
      {data?.length > kRowsShown && (
        <button type="button" className="button button-quiet" onClick={() => setAll(!all)}>
          {all ? "Show the fullest" : `Show all ${data.length}`}
        </button>
      )}
    </Panel>
  );
}
