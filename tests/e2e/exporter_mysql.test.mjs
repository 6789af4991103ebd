// What /exporters/mysql/metrics tells, against Debian's mysqld_exporter at the same MariaDB, in the same run.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { freePort, missing, request, start, startProgram, until } from "./lib.mjs";
import { kMonitorPassword, kMonitorRights, makeAccount, missingMariadb, startMariadb } from "./servers.mjs";

const kExporter = "/usr/bin/prometheus-mysqld-exporter";
const lacking = missingMariadb() || missing(kExporter);

// What theirs (0.14) tells and ours does not: the current exporter has dropped the first three, the last is of the
// exporter's own program. The collector's own list is in docs/exporters.md.
const kLeftOut = new Set([
  "mysql_exporter_last_scrape_error",
  "mysql_exporter_scrape_errors_total",
  "mysql_exporter_scrapes_total",
  "mysqld_exporter_build_info",
]);

// Theirs that this server can answer, beyond those that both have on.
const kCollect = [
  "auto_increment.columns",
  "binlog_size",
  "engine_innodb_status",
  "heartbeat",
  "info_schema.clientstats",
  "info_schema.innodb_metrics",
  "info_schema.processlist",
  "info_schema.replica_host",
  "info_schema.schemastats",
  "info_schema.tables",
  "info_schema.tablestats",
  "info_schema.userstats",
  "mysql.user",
  "perf_schema.eventsstatements",
  "perf_schema.eventsstatementssum",
  "perf_schema.eventswaits",
  "perf_schema.file_events",
  "perf_schema.file_instances",
  "perf_schema.indexiowaits",
  "perf_schema.memory_events",
  "perf_schema.tableiowaits",
  "perf_schema.tablelocks",
  "slave_hosts",
];

async function startExporter(t, server, flags = []) {
  const port = await freePort();
  const args = [`--web.listen-address=127.0.0.1:${port}`, ...flags];
  const exporter = startProgram(t, kExporter, args, {
    DATA_SOURCE_NAME: `monitor:${kMonitorPassword}@(${server.address})/`,
  });
  const page = async () => parseText((await request(`http://127.0.0.1:${port}/metrics`)).text).families;
  await until(
    async () => {
      assert.equal(exporter.child.exitCode, null, exporter.log);
      return (await page()).get("mysql_up")?.samples.get("mysql_up{}") === 1;
    },
    "an answer of mysqld_exporter",
    20_000,
  );
  return { ...exporter, page };
}

async function startQuarterdeck(t, server, instance = {}) {
  const whole = { address: server.address, user: "monitor", password: kMonitorPassword, ...instance };
  const quarterdeck = await start(t, { args: ["--set", `observe.mysql=[${JSON.stringify(whole)}]`] });
  quarterdeck.text = async () => {
    const answer = await quarterdeck.get("/exporters/mysql/metrics");
    assert.equal(answer.status, 200, answer.text);
    return answer.text;
  };
  quarterdeck.page = async () => parseText(await quarterdeck.text()).families;
  quarterdeck.up = async () => (await quarterdeck.page()).get("mysql_up")?.samples.get("mysql_up{}");
  return quarterdeck;
}

function compare(theirs, ours) {
  let compared = 0;
  for (const [name, family] of theirs) {
    if (!name.startsWith("mysql") || kLeftOut.has(name)) continue;
    const own = ours.get(name);
    assert.ok(own, `${name} is not told`);
    assert.equal(own.type, family.type, name);
    assert.equal(own.help, family.help, name);
    for (const labels of family.labels) {
      assert.ok(own.labels.has(labels), `${name} has ${[...own.labels].join(" and ")}, not ${labels}`);
    }
    ++compared;
  }
  return compared;
}

test("a server is told as mysqld_exporter tells it, with everything that both can read", {
  skip: lacking,
}, async (t) => {
  const server = await startMariadb(t, ["--log-bin=binlog", "--performance-schema=ON", "--userstat=ON"]);
  makeAccount(server);
  server.sql(`
    GRANT REPLICATION MASTER ADMIN ON *.* TO 'monitor'@'%';
    INSTALL SONAME 'query_response_time';
    SET GLOBAL query_response_time_stats = ON;
    CREATE DATABASE shop;
    CREATE TABLE shop.item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), KEY (name));
    USE shop;
    INSERT INTO item (name) VALUES ('a'), ('b');
    SELECT * FROM item WHERE name = 'a';
    CREATE DATABASE heartbeat;
    CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY);
    INSERT INTO heartbeat.heartbeat VALUES (NOW(6), 1);`);
  server.hold("SELECT SLEEP(300)");
  const exporter = await startExporter(
    t,
    server,
    kCollect.map((name) => `--collect.${name}`),
  );
  const quarterdeck = await startQuarterdeck(t, server, { collect: kCollect });
  const theirs = await exporter.page();
  const ours = await quarterdeck.page();
  const compared = compare(theirs, ours);
  assert.ok(compared > 900, `only ${compared} families to compare`);

  for (const name of ["mysql_global_variables_max_connections", "mysql_binlog_files", "mysql_info_schema_table_rows"]) {
    assert.deepEqual([...ours.get(name).samples].sort(), [...theirs.get(name).samples].sort(), name);
  }
  const failed = [...ours.get("mysql_exporter_collector_success").samples].filter(([, value]) => value !== 1);
  assert.deepEqual(failed, []);
  assert.deepEqual(quarterdeck.logged("cannot be read whole"), []);

  // The store has it too, by the collector's own clock.
  await until(async () => (await quarterdeck.value("mysql_global_status_uptime")) > 0, "samples in the store", 30_000);
  assert.ok(!quarterdeck.raw.includes(kMonitorPassword));

  if (!missing("promtool")) {
    const lint = spawnSync("promtool", ["check", "metrics"], { input: await quarterdeck.text(), encoding: "utf8" });
    assert.ok(!/error while linting|second (TYPE|HELP)/.test(lint.stderr), lint.stderr);
  }
});

test("a replica is told as mysqld_exporter tells it", { skip: lacking }, async (t) => {
  const source = await startMariadb(t, ["--log-bin=binlog", "--server-id=1"]);
  source.sql(`CREATE USER 'repl'@'%' IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';`);
  const replica = await startMariadb(t, ["--server-id=2"]);
  makeAccount(replica);
  replica.sql(`
    CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = ${source.port}, MASTER_USER = 'repl',
      MASTER_PASSWORD = 'r';
    START SLAVE;`);
  await until(() => /Slave_IO_Running: Yes/.test(replica.sql("SHOW SLAVE STATUS\\G")), "the replica", 30_000);
  const exporter = await startExporter(t, replica);
  const quarterdeck = await startQuarterdeck(t, replica);
  const ours = await quarterdeck.page();
  compare(await exporter.page(), ours);
  const labels = 'channel_name="",connection_name="",master_host="127.0.0.1",master_uuid=""';
  for (const [column, value] of [
    ["slave_io_running", 1],
    ["slave_sql_running", 1],
    ["seconds_behind_master", 0],
    ["master_port", source.port],
  ]) {
    const name = `mysql_slave_status_${column}`;
    assert.equal(ours.get(name)?.samples.get(`${name}{${labels}}`), value, name);
  }
});

test("a refusal and a missing right are told with the statement that cures them", { skip: lacking }, async (t) => {
  const server = await startMariadb(t);
  makeAccount(server, "");
  const refused = await startQuarterdeck(t, server, { password: "wr0ng!" });
  assert.equal(await refused.up(), 0);
  await until(() => refused.logged(`${kMonitorRights} 'monitor'@'localhost';`).length > 0, "the grant in the log");
  assert.ok(!refused.raw.includes("wr0ng!"));
  await refused.stop();

  const quarterdeck = await startQuarterdeck(t, server);
  assert.equal(await quarterdeck.up(), 1);
  const success = async (part) =>
    (await quarterdeck.page())
      .get("mysql_exporter_collector_success")
      .samples.get(`mysql_exporter_collector_success{collector="collect.${part}"}`);
  assert.equal(await success("global_status"), 1);
  assert.equal(await success("slave_status"), 0);
  assert.equal(await success("info_schema.innodb_cmp"), 0);
  const cure = `${kMonitorRights} 'monitor'@'%';`;
  await until(() => quarterdeck.logged(cure).length > 0, "the grant in the log");

  // Rights are those of the moment of signing on.
  server.sql(`${cure} KILL USER 'monitor'@'localhost';`);
  await until(async () => (await success("slave_status")) === 1, "the cure");
  assert.equal(await success("info_schema.innodb_cmp"), 1);
  await until(() => quarterdeck.logged("a service is read whole again").length > 0, "the end of the trouble");
});

test("a server that hangs is down, and up again when it goes on", { skip: lacking }, async (t) => {
  const server = await startMariadb(t);
  makeAccount(server);
  const quarterdeck = await startQuarterdeck(t, server);
  assert.equal(await quarterdeck.up(), 1);
  server.child.kill("SIGSTOP");
  await until(async () => (await quarterdeck.up()) === 0, "mysql_up 0", 60_000);
  server.child.kill("SIGCONT");
  await until(async () => (await quarterdeck.up()) === 1, "mysql_up 1", 60_000);
});
