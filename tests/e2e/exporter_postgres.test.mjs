// What /exporters/postgres/metrics tells, against Debian's postgres_exporter at the same PostgreSQL 15, in the same run.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { parseText } from "./exposition.mjs";
import { atEnd, freePort, missing, request, start, until } from "./lib.mjs";
import { launchPostgres, missingPostgres, postgresSettings, runPostgres, sql, startPostgres } from "./servers.mjs";

const exporter = "/usr/bin/prometheus-postgres-exporter";

// What theirs tells and ours does not, with the reason. The collector's own list is in docs/exporters.md.
const leftOut = new Map([["pg_stat_database_active_time", "now pg_stat_database_active_time_seconds_total"]]);
// Labels that the current exporter has changed: theirs is 0.11.
const otherLabels = new Map([
  ["pg_stat_activity_count", "application_name,backend_type,datname,state,usename,wait_event,wait_event_type"],
  [
    "pg_stat_activity_max_tx_duration",
    "application_name,backend_type,datname,state,usename,wait_event,wait_event_type",
  ],
  ["pg_stat_replication_pg_current_wal_lsn_bytes", "application_name,client_addr,pid,slot_name,state"],
  ["pg_stat_replication_pg_wal_lsn_diff", "application_name,client_addr,pid,slot_name,state"],
  ["pg_stat_replication_reply_time", "application_name,client_addr,pid,slot_name,state"],
]);

/** A primary with a streaming replica. */
async function cluster(t) {
  const shared = "shared_preload_libraries = 'pg_stat_statements'\nwal_level = logical\n";
  const primary = await startPostgres(t, `${shared}archive_mode = on\narchive_command = 'true'\n`);
  sql(primary.port, "CREATE EXTENSION pg_stat_statements");
  sql(primary.port, "CREATE TABLE item (id int PRIMARY KEY, name text)");
  sql(primary.port, "CREATE ROLE monitor LOGIN PASSWORD 'watch'");
  sql(primary.port, "GRANT pg_monitor TO monitor");
  sql(primary.port, "CREATE ROLE bare LOGIN PASSWORD 'bare'");
  sql(primary.port, "SELECT pg_create_physical_replication_slot('standby')");
  sql(primary.port, "SELECT pg_create_logical_replication_slot('changes', 'test_decoding')");
  const replica = path.join(primary.dir, "replica");
  const port = await freePort();
  const from = ["-h", "127.0.0.1", "-p", `${primary.port}`, "-U", "postgres"];
  const how = ["-R", "--no-sync", "-c", "fast", "-S", "standby", "-X", "stream"];
  runPostgres("pg_basebackup", [...from, "-D", replica, ...how]);
  appendFileSync(path.join(replica, "postgresql.conf"), postgresSettings(primary.dir, port) + shared);
  launchPostgres(t, replica);
  sql(primary.port, "SELECT pg_switch_wal()");
  return { primary: primary.port, replica: port };
}

async function theirs(t, port) {
  const web = await freePort();
  const child = spawn(exporter, [`--web.listen-address=127.0.0.1:${web}`], {
    env: { DATA_SOURCE_NAME: `postgresql://postgres:secret@127.0.0.1:${port}/postgres?sslmode=disable` },
    stdio: "ignore",
  });
  atEnd(t, () => child.kill("SIGKILL"));
  const page = () => request(`http://127.0.0.1:${web}/metrics`).then((response) => response.text);
  await until(async () => (await page()).includes("pg_up 1"), "the exporter");
  return page;
}

/** Label names of a family's samples, without `server`, which 0.11 adds. */
const labelsOf = ({ labels }) =>
  [
    ...new Set(
      [...labels].map((names) =>
        names
          .split(",")
          .filter((name) => name !== "server" && name !== "le")
          .join(","),
      ),
    ),
  ].join(" ");

function compare(reference, ours) {
  const faults = [];
  const told = parseText(ours).families;
  for (const [name, their] of parseText(reference).families) {
    if (!name.startsWith("pg_") || leftOut.has(name)) continue;
    const our = told.get(name);
    if (!our) {
      faults.push(`${name} is missing`);
      continue;
    }
    if (our.type !== their.type) faults.push(`${name} is a ${our.type}, theirs a ${their.type}`);
    // HELP of settings is the name since 0.13, as translations differ.
    if (our.help !== their.help && !name.startsWith("pg_settings_")) faults.push(`${name} says: ${our.help}`);
    const wanted = otherLabels.get(name) ?? labelsOf(their);
    if (labelsOf(our) !== wanted) faults.push(`${name} has ${labelsOf(our)}, not ${wanted}`);
  }
  return faults;
}

test("the PostgreSQL collector tells what the exporter tells", {
  skip: missingPostgres() || missing(exporter),
}, async (t) => {
  const ports = await cluster(t);
  const servers = [ports.primary, ports.replica].map(
    (port) => `{address: "127.0.0.1:${port}", user: postgres, password: secret}`,
  );
  const quarterdeck = await start(t, { args: ["--set", `observe.postgres=[${servers.join(", ")}]`] });
  for (const port of [ports.primary, ports.replica]) {
    const page = await theirs(t, port);
    const ours = () => quarterdeck.get(`/exporters/postgres/metrics?target=127.0.0.1:${port}`);
    await until(
      async () => port === ports.replica || (await ours()).text.includes("pg_stat_archiver_last_archive_age"),
      "an archived segment",
    );
    // A standby archives nothing, so its archiver has no last age; the exporter of 0.11 gives NaN there.
    const faults = compare(await page(), (await ours()).text);
    const ofStandby = "pg_stat_archiver_last_archive_age is missing";
    assert.deepEqual(port === ports.replica ? faults.filter((fault) => fault !== ofStandby) : faults, []);
  }
  const replica = (await quarterdeck.get(`/exporters/postgres/metrics?target=127.0.0.1:${ports.replica}`)).text;
  assert.match(replica, /^pg_replication_is_replica 1$/m);
  assert.match(replica, /^pg_stat_wal_receiver_flushed_lsn\{.*slot_name="standby"/m);
});

test("a server that refuses or hides is shown with its cure", {
  skip: missingPostgres() || missing(exporter),
}, async (t) => {
  const ports = await cluster(t);
  const servers = [
    `{address: "127.0.0.1:${ports.primary}", user: bare, password: bare}`,
    `{address: "127.0.0.1:${ports.replica}", user: monitor, password: not-to-be-seen}`,
  ];
  const quarterdeck = await start(t, { args: ["--set", `observe.postgres=[${servers.join(", ")}]`] });
  const page = async (port) => (await quarterdeck.get(`/exporters/postgres/metrics?target=127.0.0.1:${port}`)).text;
  assert.match(await page(ports.primary), /^pg_up 1$/m);
  assert.match(await page(ports.primary), /^pg_scrape_collector_success\{collector="wal"\} 0$/m);
  assert.match(await page(ports.replica), /^pg_up 0$/m);
  await until(() => quarterdeck.logged("ALTER ROLE").length > 0, "the cure in the log");
  assert.equal(quarterdeck.raw.includes("not-to-be-seen"), false);
});
