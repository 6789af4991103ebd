// What /exporters/postgres/metrics tells, against Debian's postgres_exporter at the same PostgreSQL 15, in the same run.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";

import { atEnd, freePort, request, scratch, start, until } from "./lib.mjs";

const programs = "/usr/lib/postgresql/15/bin";
const exporter = "/usr/bin/prometheus-postgres-exporter";

// What theirs tells and ours does not, with the reason. The collector's own list is in docs/exporters.md.
const leftOut = new Map([["pg_stat_database_active_time", "now pg_stat_database_active_time_seconds_total"]]);
// Labels that the current exporter has changed: theirs is 0.11.
const labelsOf = new Map([
  ["pg_stat_activity_count", "application_name,backend_type,datname,state,usename,wait_event,wait_event_type"],
  [
    "pg_stat_activity_max_tx_duration",
    "application_name,backend_type,datname,state,usename,wait_event,wait_event_type",
  ],
  ["pg_stat_replication_pg_current_wal_lsn_bytes", "application_name,client_addr,pid,slot_name,state"],
  ["pg_stat_replication_pg_wal_lsn_diff", "application_name,client_addr,pid,slot_name,state"],
  ["pg_stat_replication_reply_time", "application_name,client_addr,pid,slot_name,state"],
]);

function missing() {
  if (!existsSync(`${programs}/postgres`)) return "PostgreSQL 15 is not installed";
  if (!existsSync(exporter)) return "prometheus-postgres-exporter is not installed";
  if (process.getuid() === 0 && !existsSync("/usr/sbin/runuser")) return "runuser is not installed";
  return false;
}

/** Runs one of PostgreSQL's programs, as a user that it does not refuse. */
function run(program, args, env = {}) {
  const command = [`${programs}/${program}`, ...args];
  const whole = process.getuid() === 0 ? ["runuser", "-u", "postgres", "--", ...command] : command;
  // The server that pg_ctl leaves must not hold a pipe of ours.
  execFileSync(whole[0], whole.slice(1), { stdio: "ignore", env: { ...process.env, PGPASSWORD: "secret", ...env } });
}

function sql(port, statement) {
  run("psql", ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]);
}

/** A primary with a streaming replica. */
async function cluster(t) {
  const dir = scratch(t);
  chmodSync(dir, 0o755);
  writeFileSync(path.join(dir, "password"), "secret\n");
  if (process.getuid() === 0) spawnSync("chown", ["-R", "postgres", dir]);
  const [primary, replica] = [path.join(dir, "primary"), path.join(dir, "replica")];
  const ports = [await freePort(), await freePort()];
  const settings = (port) => `port = ${port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '${dir}'
fsync = off\nshared_preload_libraries = 'pg_stat_statements'\nwal_level = logical\n`;
  const launch = (data) => {
    run("pg_ctl", ["-D", data, "-l", `${data}.log`, "-w", "start"]);
    atEnd(t, () => run("pg_ctl", ["-D", data, "-m", "immediate", "-w", "stop"]));
  };
  run("initdb", ["-D", primary, "-U", "postgres", "-A", "scram-sha-256", "-N", "-k", `--pwfile=${dir}/password`]);
  appendFileSync(
    path.join(primary, "postgresql.conf"),
    `${settings(ports[0])}archive_mode = on\narchive_command = 'true'\n`,
  );
  launch(primary);
  sql(ports[0], "CREATE EXTENSION pg_stat_statements");
  sql(ports[0], "CREATE TABLE item (id int PRIMARY KEY, name text)");
  sql(ports[0], "CREATE ROLE monitor LOGIN PASSWORD 'watch'");
  sql(ports[0], "GRANT pg_monitor TO monitor");
  sql(ports[0], "CREATE ROLE bare LOGIN PASSWORD 'bare'");
  sql(ports[0], "SELECT pg_create_physical_replication_slot('standby')");
  sql(ports[0], "SELECT pg_create_logical_replication_slot('changes', 'test_decoding')");
  const from = ["-h", "127.0.0.1", "-p", String(ports[0]), "-U", "postgres"];
  run("pg_basebackup", [...from, "-D", replica, "-R", "--no-sync", "-c", "fast", "-S", "standby", "-X", "stream"]);
  appendFileSync(path.join(replica, "postgresql.conf"), settings(ports[1]));
  launch(replica);
  sql(ports[0], "SELECT pg_switch_wal()");
  return { primary: ports[0], replica: ports[1] };
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

/** Families of a page: type, HELP, and the sets of label names of their samples (without `server`, which 0.11 adds). */
function families(text) {
  const all = new Map();
  let current;
  for (const line of text.split("\n")) {
    const head = line.match(/^# (HELP|TYPE) (\S+) (.*)$/);
    if (head) {
      current = head[2];
      if (!all.has(current)) all.set(current, { labels: new Set() });
      all.get(current)[head[1].toLowerCase()] = head[3];
    } else if (line && !line.startsWith("#")) {
      const names = [...line.matchAll(/([a-z_]+)="/g)].map((found) => found[1]);
      const own = names.filter((name) => name !== "server" && name !== "le");
      all.get(current).labels.add(own.sort().join(","));
    }
  }
  return all;
}

function compare(reference, ours) {
  const faults = [];
  for (const [name, their] of families(reference)) {
    if (!name.startsWith("pg_") || leftOut.has(name)) continue;
    const our = families(ours).get(name);
    if (!our) {
      faults.push(`${name} is missing`);
      continue;
    }
    if (our.type !== their.type) faults.push(`${name} is a ${our.type}, theirs a ${their.type}`);
    // HELP of settings is the name since 0.13, as translations differ.
    if (our.help !== their.help && !name.startsWith("pg_settings_")) faults.push(`${name} says: ${our.help}`);
    const wanted = labelsOf.get(name) ?? [...their.labels].join(" ");
    if ([...our.labels].join(" ") !== wanted) faults.push(`${name} has ${[...our.labels].join(" ")}, not ${wanted}`);
  }
  return faults;
}

test("the PostgreSQL collector tells what the exporter tells", { skip: missing() }, async (t) => {
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

test("a server that refuses or hides is shown with its cure", { skip: missing() }, async (t) => {
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
