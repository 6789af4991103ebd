// What Overview asks the server: one query a panel, every one plain PromQL over node_exporter's names.
import { rateOf } from "../../lib/live_range.js";
import { quote } from "../../lib/quote.js";

const kJob = 'job="node"';

const kFacts = [
  "node_uname_info",
  "node_os_info",
  "node_boot_time_seconds",
  "node_time_seconds",
  "node_memory_(MemTotal|SwapTotal|SwapFree)_bytes",
  "node_filefd_(allocated|maximum)",
  "node_nf_conntrack_(entries|entries_limit)",
  "node_procs_(running|blocked)",
  "node_sockstat_(TCP_inuse|TCP_tw|TCP_orphan|sockets_used)",
];

const tagged = (expr, tag) => `label_replace(${expr}, "fact", "${tag}", "", "")`;

// Every host's facts in one instant query. `first` is when the oldest sample of the range was taken, which
// node_time_seconds tells by its value; it lets pictures fill a machine's first minutes. Without `range` it is not asked.
// After a restart with other external labels a host has each series twice for a while: nothing may count them both.
export function factsQuery(range) {
  const parts = [
    `{__name__=~"${kFacts.join("|")}",${kJob}}`,
    tagged(`count by (instance) (count by (instance, cpu) (node_cpu_seconds_total{mode="idle",${kJob}}))`, "cores"),
    tagged(`max by (instance) (count_over_time(node_time_seconds{${kJob}}[1m]))`, "per_minute"),
  ];
  if (range) parts.push(tagged(`min by (instance) (min_over_time(node_time_seconds{${kJob}}[${range}]))`, "first"));
  return parts.join(" or ");
}

const kNoDevice = 'device!~"(loop|ram|zram|fd|sr|dm-|md)[0-9].*"';
const kNoNetwork = 'device!~"lo|(veth|ifb|dummy|docker|br-|virbr|cni|flannel|cali|tap|vnet).*"';

// context: {host, step, interval}.
export function panelQueries(context) {
  const host = `${kJob},instance=${quote(context.host)}`;
  const rate = (name, more = "") => rateOf(`${name}{${host}${more ? `,${more}` : ""}}`, context);
  const direction = (expr, way) => `label_replace(${expr}, "way", "${way}", "", "")`;
  return {
    cpu: `sum by (mode) (${rate("node_cpu_seconds_total")})`,
    memory: `{__name__=~"node_memory_(MemTotal|MemFree|MemAvailable|SwapTotal|SwapFree)_bytes",${host}}`,
    load: `{__name__=~"node_load(1|5|15)",${host}}`,
    disk: [
      direction(rate("node_disk_read_bytes_total", kNoDevice), "read"),
      direction(rate("node_disk_written_bytes_total", kNoDevice), "write"),
      direction(rate("node_disk_io_time_seconds_total", kNoDevice), "busy"),
    ].join(" or "),
    network: [
      direction(rate("node_network_receive_bytes_total", kNoNetwork), "in"),
      direction(rate("node_network_transmit_bytes_total", kNoNetwork), "out"),
    ].join(" or "),
    pressure: ["cpu", "memory", "io"]
      .map((what) => direction(rate(`node_pressure_${what}_waiting_seconds_total`), what))
      .join(" or "),
    filesystems: `{__name__=~"node_filesystem_(size_bytes|avail_bytes|files|files_free|readonly)",fstype!~"tmpfs|ramfs|squashfs|overlay|devtmpfs|nsfs|efivarfs|iso9660",${host}}`,
  };
}

// The same questions as somebody would type them, for the way into Explore.
export function exploreQueries(host) {
  const select = `instance=${quote(host)}`;
  return {
    cpu: `sum by (mode) (rate(node_cpu_seconds_total{${select},mode!="idle"}[1m]))`,
    memory: `node_memory_MemTotal_bytes{${select}} - node_memory_MemAvailable_bytes{${select}}`,
    load: `node_load1{${select}}`,
    disk: `rate(node_disk_written_bytes_total{${select}}[1m])`,
    network: `rate(node_network_receive_bytes_total{${select}}[1m])`,
    pressure: `rate({__name__=~"node_pressure_.*_waiting_seconds_total",${select}}[1m])`,
    filesystems: `100 * (1 - node_filesystem_avail_bytes{${select}} / node_filesystem_size_bytes{${select}})`,
  };
}
