// The kinds of services, and the three pictures that matter most for each: what is asked, and what of the answer is drawn.
//
// A query is asked with a selection: of all services of a kind at once for the list, of one for its page. Either way every
// series keeps the label `instance`, and a picture draws the series of one instance.
import { addColumns, lastValue, levelFor, summary } from "../../charts/shape.js";
import { formatBytes, formatCount, formatPercent, formatValue } from "../../lib/format.js";
import { rateOf } from "../../lib/live_range.js";

// ---- what is asked. ask: {select: 'job="redis"', step, interval}

const pick = (ask, name, more) => `${name}{${ask.select}${more ? `,${more}` : ""}}`;
const rate = (ask, name, more) => rateOf(pick(ask, name, more), ask);
const sum = (expr, ...by) => `sum by (${["instance", ...by].join(", ")}) (${expr})`;
const tag = (expr, of) => `label_replace(${expr}, "of", "${of}", "", "")`;
const limit = (ask, name) => tag(`max by (instance) (${pick(ask, name)})`, "limit");
const hitRatio = (hits, misses) => `100 * ${hits} / (${hits} + ${misses})`;

// ---- what is drawn. lines: [{metric, values}] of one instance; a shape is null where there is nothing to draw

function line(key, label, index, values, more = {}) {
  return { key, label, color: `var(--series-${index})`, values, ...more };
}

const isLimit = ({ metric }) => metric.of === "limit";
const most = (columns) => Math.max(0, ...columns.map((values) => summary(values).max ?? 0));
const whole = (columns) => (columns.length === 1 ? columns[0] : addColumns(columns));

// The last of the limit that `lines` bring along; null where there is none, which a server tells by 0.
function limitIn(lines) {
  const found = lines.filter(isLimit).map((one) => lastValue(one.values));
  return found[0] > 0 ? found[0] : null;
}

// A scale that reaches up to the limit once a good part of it is used.
function upTo(limit, top, base) {
  if (limit !== null && top > limit * 0.3) return { min: 0, max: Math.max(limit, top) * 1.06 };
  return { min: 0, max: levelFor(top * 1.05, base === 1024 ? [] : [1], base) };
}

const kNear = 85;
const kAt = 95;

// `limit` stands beside the figure where there is room for both.
function ofLimit(used, limit, format) {
  if (used === null) return {};
  if (limit === null) return { figure: format(used) };
  const note = `${formatPercent((100 * used) / limit)} of ${format(limit)}`;
  return { figure: format(used), limit: format(limit), note };
}

function nearLimit(used, limit) {
  if (used === null || limit === null) return undefined;
  const percent = (100 * used) / limit;
  if (percent >= kAt) return { level: "bad", word: "At the limit" };
  return percent >= kNear ? { level: "warn", word: "Near the limit" } : undefined;
}

// Lines by the value of a label. names: [[value, label, colour]] in order from below; what else there is counts as one
// more, and what is 0 all the time is left out, but the first.
function byLabel(lines, label, names, other) {
  const known = new Map(names.map(([value]) => [value, []]));
  const rest = [];
  for (const { metric, values } of lines) (known.get(metric[label] ?? "") ?? rest).push(values);
  const series = names.map(([value, text, index]) => ({ value, text, index, columns: known.get(value) }));
  if (other) series.push({ value: "other", text: other, index: 5, columns: rest });
  return series
    .filter(({ columns }, i) => columns.length > 0 && (i === 0 || most(columns) > 0))
    .map(({ value, text, index, columns }) => line(value || "all", text, index, whole(columns)));
}

function limited(lines, series, { stacked, format = formatCount, base = 10, warns = false }) {
  const limit = limitIn(lines);
  if (series.length === 0) return null;
  const total = stacked ? whole(series.map((one) => one.values)) : series[0].values;
  const used = lastValue(total);
  return {
    series: series.length === 1 ? [{ ...series[0], area: 0.14 }] : series,
    stacked: stacked && series.length > 1,
    bounds: upTo(limit, most([total]), base),
    marks: limit === null ? [] : [{ value: limit, label: `limit ${format(limit)}` }],
    ...ofLimit(used, limit, format),
    state: warns ? nearLimit(used, limit) : undefined,
  };
}

// Rates by name on top of each other, or one.
function rates(series) {
  if (series.length === 0) return null;
  const total = whole(series.map((one) => one.values));
  return {
    series: series.length === 1 ? [{ ...series[0], area: 0.14 }] : series,
    stacked: series.length > 1,
    bounds: { min: 0, max: levelFor(most([total]) * 1.05, [1]) },
    figure: formatValue(lastValue(total), "per_s"),
  };
}

// Of 100 %, from a level below what there was, so that 99.8 and 99.2 are told apart.
function ratio(lines, label) {
  const values = lines[0]?.values;
  const { min } = values ? summary(values) : { min: null };
  if (min === null) return null;
  const bottom = [99, 95, 90, 75, 50].find((level) => min > level) ?? 0;
  return {
    series: [line("ratio", label, 1, values, { area: 0.14 })],
    bounds: { min: bottom, max: 100 },
    figure: `${lastValue(values).toFixed(lastValue(values) >= 99.95 ? 0 : 1)} %`,
    note: bottom > 0 ? `drawn from ${bottom} %` : undefined,
  };
}

const one = (lines, label) => (lines.length === 0 ? [] : [line("all", label, 1, whole(lines.map((l) => l.values)))]);
const withoutLimit = (lines) => lines.filter((l) => !isLimit(l));

const kFew = { title: "No rate yet", hint: "A rate needs two samples; the second comes with the next pass." };
const kIdle = { title: "Nothing was asked of it", hint: "Without a read in this time there is no share of hits." };
const kConnections = { unit: "count", unitName: "connections", title: "Connections against the limit" };
const kMemory = { unit: "bytes", unitName: "memory", title: "Memory against the limit" };

const kPostgres = [
  {
    ...kConnections,
    id: "connections",
    query: (ask) =>
      `${sum(pick(ask, "pg_stat_activity_count"), "state")} or on (instance) ${sum(pick(ask, "pg_stat_database_numbackends"))} or ${limit(ask, "pg_settings_max_connections")}`,
    shape: (lines) =>
      limited(
        lines,
        byLabel(
          withoutLimit(lines),
          "state",
          [
            ["active", "Active", 1],
            ["idle in transaction", "Idle in transaction", 4],
            ["idle", "Idle", 6],
            ["", "Open", 1],
          ],
          "Others",
        ),
        { stacked: true, warns: true },
      ),
    empty: { title: "No connections to count", hint: "The user that reads it needs the role pg_monitor." },
  },
  {
    id: "transactions",
    title: "Transactions",
    unitName: "per second",
    unit: "per_s",
    query: (ask) =>
      `${tag(sum(rate(ask, "pg_stat_database_xact_commit")), "commit")} or ${tag(sum(rate(ask, "pg_stat_database_xact_rollback")), "rollback")}`,
    shape: (lines) =>
      rates(
        byLabel(lines, "of", [
          ["commit", "Committed", 1],
          ["rollback", "Rolled back", 4],
        ]),
      ),
    empty: kFew,
  },
  {
    id: "cache",
    title: "Reads from its cache",
    unitName: "share of blocks",
    unit: "percent",
    query: (ask) => hitRatio(sum(rate(ask, "pg_stat_database_blks_hit")), sum(rate(ask, "pg_stat_database_blks_read"))),
    shape: (lines) => ratio(lines, "From the cache"),
    empty: kIdle,
  },
];

const kMysql = [
  {
    id: "queries",
    title: "Queries",
    unitName: "per second",
    unit: "per_s",
    query: (ask) => sum(rate(ask, "mysql_global_status_queries")),
    shape: (lines) => rates(one(lines, "Queries")),
    empty: kFew,
  },
  {
    ...kConnections,
    id: "connections",
    query: (ask) =>
      [
        tag(sum(pick(ask, "mysql_global_status_threads_connected")), "connected"),
        tag(sum(pick(ask, "mysql_global_status_threads_running")), "running"),
        limit(ask, "mysql_global_variables_max_connections"),
      ].join(" or "),
    shape: (lines) =>
      limited(
        lines,
        byLabel(lines, "of", [
          ["connected", "Connected", 1],
          ["running", "Running", 4],
        ]),
        { stacked: false, warns: true },
      ),
    empty: { title: "No connections to count", hint: "SHOW GLOBAL STATUS gave none; the log says why." },
  },
  {
    id: "cache",
    title: "Reads from the buffer pool",
    unitName: "share of pages",
    unit: "percent",
    query: (ask) =>
      `100 * (1 - ${sum(rate(ask, "mysql_global_status_innodb_buffer_pool_reads"))} / ${sum(rate(ask, "mysql_global_status_innodb_buffer_pool_read_requests"))})`,
    shape: (lines) => ratio(lines, "From the buffer pool"),
    empty: kIdle,
  },
];

const kRedis = [
  {
    id: "commands",
    title: "Commands",
    unitName: "per second",
    unit: "per_s",
    query: (ask) => sum(rate(ask, "redis_commands_processed_total")),
    shape: (lines) => rates(one(lines, "Commands")),
    empty: kFew,
  },
  {
    ...kMemory,
    id: "memory",
    query: (ask) =>
      `${tag(sum(pick(ask, "redis_memory_used_bytes")), "used")} or ${limit(ask, "redis_memory_max_bytes")}`,
    shape: (lines) =>
      limited(lines, one(withoutLimit(lines), "Used"), { format: formatBytes, base: 1024, stacked: false }),
    empty: { title: "No memory figures", hint: "INFO memory gave none: the user that reads it needs +info." },
  },
  {
    id: "hits",
    title: "Keys found when asked for",
    unitName: "share of reads",
    unit: "percent",
    query: (ask) =>
      hitRatio(sum(rate(ask, "redis_keyspace_hits_total")), sum(rate(ask, "redis_keyspace_misses_total"))),
    shape: (lines) => ratio(lines, "Found"),
    empty: kIdle,
  },
];

const kMemcached = [
  {
    id: "commands",
    title: "Commands",
    unitName: "per second",
    unit: "per_s",
    query: (ask) => sum(rate(ask, "memcached_commands_total"), "command"),
    shape: (lines) =>
      rates(
        byLabel(
          lines,
          "command",
          [
            ["get", "get", 1],
            ["set", "set", 2],
            ["delete", "delete", 3],
          ],
          "Others",
        ),
      ),
    empty: kFew,
  },
  {
    ...kMemory,
    id: "memory",
    query: (ask) =>
      `${tag(sum(pick(ask, "memcached_current_bytes")), "used")} or ${limit(ask, "memcached_limit_bytes")}`,
    shape: (lines) =>
      limited(lines, one(withoutLimit(lines), "Used"), { format: formatBytes, base: 1024, stacked: false }),
    empty: { title: "No memory figures", hint: "The command stats gave none; the log says why." },
  },
  {
    id: "hits",
    title: "Keys found when asked for",
    unitName: "share of gets",
    unit: "percent",
    query: (ask) =>
      `100 * ${sum(rate(ask, "memcached_commands_total", 'command="get",status="hit"'))} / ${sum(rate(ask, "memcached_commands_total", 'command="get"'))}`,
    shape: (lines) => ratio(lines, "Found"),
    empty: kIdle,
  },
];

const kNginx = [
  {
    id: "requests",
    title: "Requests",
    unitName: "per second",
    unit: "per_s",
    query: (ask) => sum(rate(ask, "nginx_http_requests_total")),
    shape: (lines) => rates(one(lines, "Requests")),
    empty: kFew,
  },
  {
    id: "connections",
    title: "Open connections",
    unitName: "by what they do",
    unit: "count",
    query: (ask) =>
      ["writing", "reading", "waiting"]
        .map((state) => tag(sum(pick(ask, `nginx_connections_${state}`)), state))
        .join(" or "),
    shape: (lines) =>
      limited(
        lines,
        byLabel(lines, "of", [
          ["writing", "Writing", 1],
          ["reading", "Reading", 4],
          ["waiting", "Waiting", 6],
        ]),
        { stacked: true },
      ),
    empty: { title: "No connections to count", hint: "Its stub_status page was not read in this time." },
  },
  {
    id: "codes",
    title: "Responses by code",
    unitName: "per second",
    unit: "per_s",
    query: (ask) =>
      sum(
        `label_replace(${rate(ask, "nginx_http_response_count_total")}, "class", "\${1}xx", "status", "([1-5])..")`,
        "class",
      ),
    shape: (lines) => {
      const series = byLabel(
        lines,
        "class",
        [
          ["2xx", "2xx", 1],
          ["3xx", "3xx", 6],
          ["4xx", "4xx", 2],
          ["5xx", "5xx", 4],
        ],
        "Others",
      );
      const failed = series.find((one) => one.key === "5xx");
      const shape = rates(series);
      return shape && { ...shape, figure: failed ? `${formatCount(lastValue(failed.values))}/s 5xx` : shape.figure };
    },
    empty: {
      title: "Codes come from its access log",
      hint: "Name it as access_log beside status_url at observe.nginx in quarterdeck.yaml.",
    },
  },
];

// Whether something answers, of series that are 1 or 0.
const answers = (of) => ({
  id: "up",
  title: of.title,
  unitName: "1 is yes",
  unit: "count",
  query: (ask) => `min by (instance) (${pick(ask, of.metric)})`,
  shape: (lines) => {
    const [values] = lines.map((l) => l.values);
    if (!values || lastValue(values) === null) return null;
    const up = lastValue(values) > 0;
    return {
      series: [line("up", "Answers", 1, values, { area: 0.14 })],
      bounds: { min: 0, max: 1.1 },
      figure: up ? "Yes" : "No",
      state: up ? undefined : { level: "bad", word: "Down" },
    };
  },
  empty: of.empty,
});

const takes = (of) => ({
  id: "duration",
  title: of.title,
  unitName: "s",
  unit: "seconds",
  query: (ask) => `max by (instance) (${pick(ask, of.metric)})`,
  shape: (lines) => {
    const series = one(lines, "Takes");
    if (series.length === 0 || lastValue(series[0].values) === null) return null;
    const figure = formatValue(lastValue(series[0].values), "seconds");
    return { series: [{ ...series[0], area: 0.14 }], bounds: { min: 0 }, figure };
  },
  empty: of.empty,
});

// A page of metrics that is scraped.
const kNotScraped = { title: "It was not scraped yet", hint: "Targets says what is scraped, and how that goes." };
const kScraped = [
  answers({ title: "Whether it answers scrapes", metric: "up", empty: kNotScraped }),
  takes({ title: "How long a scrape takes", metric: "scrape_duration_seconds", empty: kNotScraped }),
  {
    id: "samples",
    title: "How much a scrape brings",
    unitName: "samples",
    unit: "count",
    query: (ask) => `max by (instance) (${pick(ask, "scrape_samples_scraped")})`,
    shape: (lines) => limited(lines, one(lines, "Samples"), { stacked: false }),
    empty: kNotScraped,
  },
];

// What is asked from outside, as its users ask it.
const kNotProbed = { title: "It was not probed yet", hint: "The first probe comes with the next pass." };
const kWeek_s = 7 * 86_400;
const kProbed = [
  answers({ title: "Whether it answers as it should", metric: "probe_success", empty: kNotProbed }),
  takes({ title: "How long an answer takes", metric: "probe_duration_seconds", empty: kNotProbed }),
  {
    id: "certificate",
    title: "Until its certificate expires",
    unitName: "time left",
    unit: "seconds",
    query: (ask) => `min by (instance) (${pick(ask, "probe_ssl_earliest_cert_expiry")}) - time()`,
    shape: (lines) => {
      const series = one(lines, "Left");
      const left = series.length === 0 ? null : lastValue(series[0].values);
      if (left === null) return null;
      const near = left < 2 * kWeek_s ? { level: "warn", word: "Expires soon" } : undefined;
      return {
        series: [{ ...series[0], area: 0.14 }],
        bounds: { min: Math.min(0, left) },
        figure: formatValue(left, "seconds"),
        state: left <= 0 ? { level: "bad", word: "Expired" } : near,
      };
    },
    empty: { title: "It shows no certificate", hint: "Probes over TLS tell when the first of the chain expires." },
  },
];

export const kKinds = {
  postgres: { name: "PostgreSQL", pictures: kPostgres },
  mysql: { name: "MySQL and MariaDB", pictures: kMysql },
  redis: { name: "Redis and Valkey", pictures: kRedis },
  memcached: { name: "memcached", pictures: kMemcached },
  nginx: { name: "nginx", pictures: kNginx },
  openmetrics: { name: "OpenMetrics pages", pictures: kScraped },
  blackbox: { name: "Probes", pictures: kProbed },
};
const kNames = Object.keys(kKinds);

// Of a kind that is only recognised there are no pictures.
export const kindOf = (kind) => (Object.hasOwn(kKinds, kind) ? kKinds[kind] : { name: kind || "Others", pictures: [] });

export const kindRank = (kind) => (Object.hasOwn(kKinds, kind) ? kNames.indexOf(kind) : kNames.length);
