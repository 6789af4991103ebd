// The probes beside Debian's blackbox_exporter: the same modules file, the same targets, the same names, types, help and
// values, in the same run; and what only Quarterdeck does, its own targets in its own store.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import dgram from "node:dgram";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import path from "node:path";
import test from "node:test";
import tls from "node:tls";
import zlib from "node:zlib";
import { atEnd, freePort, request, runCommand, scratch, start, until, writeConfig } from "./lib.mjs";

const kPeer = "prometheus-blackbox-exporter";
const kNginx = "/usr/sbin/nginx";

// What theirs tells of itself and ours does not, with the reason.
const kLeftOut = [
  [/^(go|process|promhttp)_/, "of the exporter's own process"],
  [/^net_conntrack_dialer_/, "of a library of the exporter"],
  [/^blackbox_exporter_build_info$/, "the build is quarterdeck_build_info"],
];
// What releases after Debian's 0.23 tell, and ours with them.
const kNewer = new Set(["probe_tls_cipher_info"]);
const kNewerLabels = new Set(["serialnumber"]);
// What differs in single cases, with the reason.
const kOtherwise = [
  [/^no_redirects .*: probe_http_uncompressed_body_length/, "a redirect that is not followed has a body as well"],
  [/^dns_tls .*: probe_(ssl|tls)_.* is ours alone/, "DNS over TLS has a certificate to tell of as well"],
];
// Each time another value.
const kTimes = /^probe_(dns_lookup_time|duration|http_duration|dns_duration|icmp_duration|grpc_duration)_seconds/;

function missing(...programs) {
  const lacking = programs.filter((program) => {
    try {
      execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
      return false;
    } catch {
      return true;
    }
  });
  return lacking.length > 0 ? `${lacking.join(" and ")} is not installed` : false;
}

/** The text format as {families: name → {type, help}, samples: "name{labels sorted}" → value}. */
function parseText(text) {
  const families = new Map();
  const samples = new Map();
  for (const line of text.split("\n")) {
    const comment = line.match(/^# (HELP|TYPE) (\S+) (.*)$/);
    if (comment) {
      const [, kind, name, rest] = comment;
      families.set(name, { ...families.get(name), [kind.toLowerCase()]: rest });
    } else if (line !== "" && !line.startsWith("#")) {
      const [, name, , labels = "", value] = line.match(/^([^{ ]+)(\{(.*)\})? (\S+)$/);
      const pairs = (labels.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? []).filter(
        (pair) => !kNewerLabels.has(pair.slice(0, pair.indexOf("="))),
      );
      samples.set(`${name}{${pairs.sort().join(",")}}`, Number(value));
    }
  }
  return { families, samples };
}

/** Faults of `ours` against `theirs`; both are texts. */
function compare(theirs, ours) {
  const their = parseText(theirs);
  const our = parseText(ours);
  const faults = [];
  for (const [name, { type, help }] of their.families) {
    if (!our.families.has(name)) faults.push(`${name} is missing`);
    else if (our.families.get(name).type !== type) faults.push(`${name} is a ${our.families.get(name).type}`);
    else if (our.families.get(name).help !== help) faults.push(`${name} says ${our.families.get(name).help}`);
  }
  for (const name of our.families.keys()) {
    if (!their.families.has(name) && !kNewer.has(name)) faults.push(`${name} is ours alone`);
  }
  for (const [sample, value] of their.samples) {
    const here = our.samples.get(sample);
    if (here === undefined) faults.push(`${sample} is missing`);
    else if (kTimes.test(sample)) {
      if (!(here >= 0 && here < 20)) faults.push(`${sample} is ${here}`);
      // A phase that took time there takes time here.
      if (value > 0.0005 && here === 0) faults.push(`${sample} is 0, theirs ${value}`);
    } else if (here !== value) faults.push(`${sample} is ${here}, theirs ${value}`);
  }
  for (const sample of our.samples.keys()) {
    if (!their.samples.has(sample) && !kNewer.has(sample.slice(0, sample.indexOf("{"))))
      faults.push(`${sample} is ours alone`);
  }
  return faults;
}

function listening(t, server, host = "127.0.0.1") {
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, host, () => {
      const sockets = new Set();
      server.on("connection", (socket) => {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => sockets.delete(socket));
      });
      atEnd(t, () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      resolve(server.address().port);
    });
  });
}

/** An authority and a certificate for localhost that it signed, of `days`. */
function certificates(dir) {
  const file = (name) => path.join(dir, name);
  const openssl = (...args) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  openssl(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
    "-days",
    "5",
    "-subj",
    "/O=Test/CN=Authority",
  );
  openssl(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "key.pem",
    "-out",
    "own.csr",
    "-subj",
    "/O=Acme, Inc/CN=localhost/C=DE/L=Town/ST=State/OU=#One; two /emailAddress=a@b.example/serialNumber=7",
  );
  writeFileSync(file("ext"), "subjectAltName=DNS:localhost,DNS:www.example,IP:127.0.0.1\n");
  openssl(
    "x509",
    "-req",
    "-in",
    "own.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "30",
    "-extfile",
    "ext",
    "-out",
    "own.pem",
  );
  writeFileSync(file("cert.pem"), readFileSync(file("own.pem")) + readFileSync(file("ca.pem")));
  return { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") };
}

/** A name server that knows the zone example.com, over UDP and TCP. */
function dnsAnswer(question) {
  let end = 12;
  while (question[end] !== 0) end += question[end] + 1;
  end += 5;
  const type = question.readUInt16BE(end - 4);
  const name = question.subarray(13, 13 + question[12]).toString();
  const header = Buffer.from(question.subarray(0, 12));
  header[2] = 0x85;
  header[3] = name === "nothing" ? 0x83 : 0x80;
  const record = (owner, kind, data) => {
    const head = Buffer.alloc(10);
    head.writeUInt16BE(kind, 0);
    head.writeUInt16BE(1, 2);
    head.writeUInt32BE(300, 4);
    head.writeUInt16BE(data.length, 8);
    return Buffer.concat([Buffer.from(owner), head, data]);
  };
  const here = [0xc0, 0x0c];
  const soa = Buffer.concat([
    Buffer.from([2, 0x6e, 0x73, ...here, 4, 0x72, 0x6f, 0x6f, 0x74, ...here]),
    Buffer.from("7885d62b00001c2000000e100012750000000e10", "hex"),
  ]);
  const answers =
    name === "nothing"
      ? []
      : type === 6
        ? [record(here, 6, soa)]
        : type === 15
          ? [record(here, 15, Buffer.from([0, 10, 4, 0x6d, 0x61, 0x69, 0x6c, ...here]))]
          : [record(here, 1, Buffer.from([192, 0, 2, 1])), record(here, 1, Buffer.from([192, 0, 2, 2]))];
  const authorities = [record(here, 2, Buffer.from([2, 0x6e, 0x73, ...here]))];
  const additionals = [record([2, 0x6e, 0x73, ...here], 1, Buffer.from([192, 0, 2, 53]))];
  header.writeUInt16BE(answers.length, 6);
  header.writeUInt16BE(authorities.length, 8);
  header.writeUInt16BE(additionals.length, 10);
  return Buffer.concat([header, question.subarray(12, end), ...answers, ...authorities, ...additionals]);
}

async function nameServer(t) {
  const udp = dgram.createSocket("udp4");
  udp.on("message", (question, from) => udp.send(dnsAnswer(question), from.port, from.address));
  await new Promise((resolve) => udp.bind(0, "127.0.0.1", resolve));
  atEnd(t, () => udp.close());
  const overStream = (socket) => {
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const answer = dnsAnswer(bytes.subarray(2));
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length);
      socket.write(Buffer.concat([size, answer]));
    });
  };
  return { udp: udp.address().port, overStream, tcp: await listening(t, net.createServer(overStream)) };
}

/** grpc.health.v1.Health as a handler of node's HTTP/2: by the service that is asked for. */
function grpcHealth(stream) {
  const parts = [];
  stream.on("error", () => {});
  stream.on("data", (part) => parts.push(part));
  stream.on("end", () => {
    const service = Buffer.concat(parts).subarray(7).toString();
    const status = { "": 1, good: 1, bad: 2 }[service];
    if (status === undefined) {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "unknown service" },
        { endStream: true },
      );
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  });
}

/** Everything that is probed. Gives ports by name, and the requests that the web server saw. */
async function startTargets(t, keys) {
  const secure = { key: readFileSync(keys.key), cert: readFileSync(keys.cert) };
  const ports = {};
  const seen = [];
  const site = (incoming, response) => {
    seen.push({ method: incoming.method, path: incoming.url, headers: incoming.headers });
    const where = incoming.url.split("?")[0];
    if (where === "/moved") return response.writeHead(302, { location: "/" }).end("moved");
    if (where === "/loop") return response.writeHead(301, { location: "/loop" }).end();
    if (where === "/500") return response.writeHead(500).end("broken");
    if (where === "/packed") {
      response.setHeader("Content-Encoding", "gzip");
      return response.end(zlib.gzipSync("x".repeat(10_000)));
    }
    if (where === "/chunks") {
      response.write("one");
      return response.end("two");
    }
    if (where === "/login") {
      const fine = incoming.headers.authorization === `Basic ${Buffer.from("user:geheim").toString("base64")}`;
      return response.writeHead(fine ? 200 : 401).end();
    }
    response.setHeader("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT");
    response.setHeader("X-State", "all well");
    response.end("hello, world");
  };
  ports.http = await listening(t, http.createServer({ keepAlive: false }, site));
  // Not every machine has IPv6.
  ports.http6 = await listening(t, http.createServer(site), "::1").catch(() => 0);
  ports.https = await listening(t, http2.createSecureServer({ ...secure, allowHTTP1: true }, site));
  ports.tls12 = await listening(
    t,
    tls.createServer({ ...secure, maxVersion: "TLSv1.2" }, (s) => s.write("+OK hi\r\n")),
  );
  ports.ssh = await listening(
    t,
    net.createServer((s) => s.write("SSH-2.0-Test_1\r\n")),
  );
  ports.closing = await listening(
    t,
    net.createServer((s) => s.end("bye\r\n")),
  );
  ports.silent = await listening(
    t,
    net.createServer(() => {}),
  );
  ports.starttls = await listening(
    t,
    net.createServer((s) => {
      s.write("220 mail ready\r\n");
      s.on("data", (bytes) => {
        if (bytes.toString().startsWith("EHLO")) s.write("250-mail\r\n250-STARTTLS\r\n250 SIZE\r\n");
        if (!bytes.toString().startsWith("STARTTLS")) return;
        s.write("220 go\r\n");
        s.removeAllListeners("data");
        const secured = new tls.TLSSocket(s, { isServer: true, secureContext: tls.createSecureContext(secure) });
        secured.on("error", () => {});
        secured.on(
          "data",
          (line) => line.toString().startsWith("EHLO") && secured.write("250-AUTH PLAIN\r\n250 OK\r\n"),
        );
      });
    }),
  );
  const names = await nameServer(t);
  ports.dns = names.udp;
  ports.dnsTcp = names.tcp;
  ports.dnsTls = await listening(t, tls.createServer(secure, names.overStream));
  const plain = http2.createServer();
  plain.on("stream", grpcHealth);
  ports.grpc = await listening(t, plain);
  const overTls = http2.createSecureServer(secure);
  overTls.on("stream", grpcHealth);
  ports.grpcs = await listening(t, overTls);
  ports.nobody = await freePort();
  return { ports, seen };
}

// The servers here listen at 127.0.0.1, and "localhost" may stand for ::1 first.
const atIpv4 = (modules) =>
  modules
    .replace(/(prober: (http|tcp|dns|grpc)\b.*, \2: \{)(?!preferred)/g, "$1preferred_ip_protocol: ip4, ")
    .replace("{prober: tcp}", "{prober: tcp, tcp: {preferred_ip_protocol: ip4}}");

function modulesFile(ca) {
  return atIpv4(`modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}
  no_redirects: {prober: http, http: {follow_redirects: false, valid_status_codes: [302]}}
  post: {prober: http, http: {method: POST, body: "a=b", headers: {X-One: "1"}}}
  head: {prober: http, http: {method: HEAD}}
  login: {prober: http, http: {basic_auth: {username: user, password: geheim}}}
  packed: {prober: http, http: {compression: gzip}}
  small: {prober: http, http: {body_size_limit: 5B}}
  well: {prober: http, http: {fail_if_body_not_matches_regexp: ["hello, w.*d"], fail_if_header_not_matches: [{header: X-State, regexp: "well$"}]}}
  unwell: {prober: http, http: {fail_if_body_matches_regexp: [hello]}}
  header: {prober: http, http: {fail_if_header_matches: [{header: X-State, regexp: all}]}}
  old_http: {prober: http, http: {valid_http_versions: ["HTTP/1.0"]}}
  https: {prober: http, http: {tls_config: {ca_file: ${ca}}}}
  https1: {prober: http, http: {enable_http2: false, tls_config: {ca_file: ${ca}}}}
  https_any: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}
  https_name: {prober: http, http: {tls_config: {ca_file: ${ca}, server_name: other.example}}}
  no_tls: {prober: http, http: {fail_if_ssl: true, tls_config: {ca_file: ${ca}}}}
  only_tls: {prober: http, http: {fail_if_not_ssl: true}}
  tcp_connect: {prober: tcp}
  ssh: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-"}]}}
  tls: {prober: tcp, tcp: {tls: true, tls_config: {ca_file: ${ca}}, query_response: [{expect: "^[+]OK"}]}}
  tls13: {prober: tcp, tcp: {tls: true, tls_config: {ca_file: ${ca}, min_version: TLS13}}}
  starttls: {prober: tcp, tcp: {tls_config: {ca_file: ${ca}}, query_response: [{expect: "^220 (.*) ready"}, {send: "EHLO prober"}, {expect: "^250-STARTTLS"}, {send: STARTTLS}, {expect: "^220"}, {starttls: true}, {send: "EHLO prober"}, {expect: "^250-AUTH"}]}}
  memcached: {prober: tcp, tcp: {query_response: [{send: version}, {expect: "^VERSION [0-9]"}]}}
  dns: {prober: dns, dns: {query_name: example.com, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ["example.com.\\t300\\tIN\\tA\\t192.0.2.[12]"]}}}
  dns_soa: {prober: dns, dns: {query_name: example.com, query_type: SOA, validate_answer_rrs: {fail_if_none_matches_regexp: ["\\tSOA\\tns.example.com. root.example.com. 2022037035 7200 3600 1209600 3600$"]}}}
  dns_mx: {prober: dns, dns: {query_name: example.com, query_type: MX, validate_answer_rrs: {fail_if_matches_regexp: ["\\tMX\\t10 mail.example.com.$"]}}}
  dns_all: {prober: dns, dns: {query_name: example.com, query_type: A, validate_answer_rrs: {fail_if_all_match_regexp: ["192.0.2.1$"]}, validate_additional_rrs: {fail_if_all_match_regexp: ["ns[.]example.com"]}}}
  dns_nothing: {prober: dns, dns: {query_name: nothing.example.com, query_type: A}}
  dns_nx: {prober: dns, dns: {query_name: nothing.example.com, query_type: A, valid_rcodes: [NXDOMAIN]}}
  dns_tcp: {prober: dns, dns: {transport_protocol: tcp, query_name: example.com, query_type: A}}
  dns_tls: {prober: dns, dns: {transport_protocol: tcp, dns_over_tls: true, query_name: example.com, query_type: A, tls_config: {ca_file: ${ca}}}}
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
  icmp6: {prober: icmp}
  http_only4: {prober: http, http: {preferred_ip_protocol: ip4, ip_protocol_fallback: false}}
  grpc: {prober: grpc, grpc: {tls: false}}
  grpc_good: {prober: grpc, grpc: {service: good}}
  grpc_bad: {prober: grpc, grpc: {service: bad}}
  grpc_none: {prober: grpc, grpc: {service: none}}
  grpcs: {prober: grpc, grpc: {tls: true, tls_config: {ca_file: ${ca}}}}
  patient: {prober: tcp, timeout: 2s, tcp: {query_response: [{expect: never}]}}
`);
}

function startProgram(t, program, args) {
  const child = spawn(program, args, { stdio: "ignore" });
  const closed = new Promise((resolve) => child.on("close", resolve));
  atEnd(t, async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await closed;
  });
}

async function startPeer(t, file) {
  const port = await freePort();
  startProgram(t, kPeer, [`--config.file=${file}`, `--web.listen-address=127.0.0.1:${port}`]);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await request(`${url}/-/healthy`)).status === 200, "the exporter", 20_000);
  return url;
}

const probePath = (module, target, more = "") => `probe?module=${module}&target=${encodeURIComponent(target)}${more}`;

test("probes tell what blackbox_exporter tells, with the same modules file", {
  skip: missing(kPeer, "openssl"),
}, async (t) => {
  const dir = scratch(t);
  const keys = certificates(dir);
  const { ports, seen } = await startTargets(t, keys);
  const file = writeConfig(dir, "blackbox.yml", modulesFile(keys.ca));
  const peer = await startPeer(t, file);
  const quarterdeck = await start(t, { args: ["--set", `observe.blackbox.modules_file=${file}`] });
  const both = async (module, target, more) => {
    // What hangs for a minute there is not asked for there; all of these answer at once.
    const theirs = await request(`${peer}/${probePath(module, target, more)}`);
    const ours = await quarterdeck.get(`/exporters/blackbox/${probePath(module, target, more)}`);
    assert.equal(ours.status, theirs.status, `${module} ${target}`);
    return [theirs.text, ours.text];
  };
  const web = `http://localhost:${ports.http}`;
  const secure = `https://localhost:${ports.https}`;
  const cases = [
    ["http_2xx", `${web}/`, 1],
    ["http_2xx", `localhost:${ports.http}`, 1],
    ["http_2xx", `${web}/moved`, 1],
    ["http_2xx", `${web}/loop`, 0],
    ["http_2xx", `${web}/500`, 0],
    ["http_2xx", `${web}/chunks`, 1],
    ["http_2xx", `http://localhost:${ports.nobody}/`, 0],
    ["http_2xx", "http://nowhere.invalid/", 0],
    ["no_redirects", `${web}/moved`, 1],
    ["post", `${web}/`, 1],
    ["head", `${web}/`, 1],
    ["login", `${web}/login`, 1],
    ["packed", `${web}/packed`, 1],
    ["small", `${web}/`, 0],
    ["well", `${web}/`, 1],
    ["unwell", `${web}/`, 0],
    ["header", `${web}/`, 0],
    ["old_http", `${web}/`, 0],
    ["https", `${secure}/`, 1],
    ["https", `https://127.0.0.1:${ports.https}/moved`, 1],
    ["https1", `${secure}/`, 1],
    ["https_any", `${secure}/`, 1],
    ["https_name", `${secure}/`, 0],
    ["http_2xx", `${secure}/`, 0],
    ["no_tls", `${secure}/`, 0],
    ["only_tls", `${web}/`, 0],
    ["tcp_connect", `localhost:${ports.ssh}`, 1],
    ["tcp_connect", `localhost:${ports.nobody}`, 0],
    ["ssh", `127.0.0.1:${ports.ssh}`, 1],
    ["ssh", `127.0.0.1:${ports.closing}`, 0],
    ["tls", `localhost:${ports.tls12}`, 1],
    ["tls13", `localhost:${ports.tls12}`, 0],
    ["starttls", `localhost:${ports.starttls}`, 1],
    ["dns", `127.0.0.1:${ports.dns}`, 1],
    ["dns_soa", `127.0.0.1:${ports.dns}`, 1],
    ["dns_mx", `127.0.0.1:${ports.dns}`, 0],
    ["dns_all", `127.0.0.1:${ports.dns}`, 0],
    ["dns_nothing", `127.0.0.1:${ports.dns}`, 0],
    ["dns_nx", `127.0.0.1:${ports.dns}`, 1],
    ["dns", `127.0.0.1:${ports.nobody}`, 0],
    ["dns_tcp", `127.0.0.1:${ports.dnsTcp}`, 1],
    ["dns_tls", `localhost:${ports.dnsTls}`, 1],
    ["grpc", `localhost:${ports.grpc}`, 1],
    ["grpc_good", `localhost:${ports.grpc}`, 1],
    ["grpc_bad", `localhost:${ports.grpc}`, 0],
    ["grpc_none", `localhost:${ports.grpc}`, 0],
    ["grpc", `localhost:${ports.nobody}`, 0],
    ["grpcs", `localhost:${ports.grpcs}`, 1],
    ["grpc", `localhost:${ports.http}`, 0],
    ["grpcs", `localhost:${ports.grpc}`, 0],
    ["tcp_connect", "localhost", 0],
    ["tcp_connect", "nowhere.invalid:1", 0],
    ["dns", "nowhere.invalid", 0],
    ["icmp", "nowhere.invalid", 0],
    ["grpc", "nowhere.invalid:1", 0],
    ["http_2xx", "http://[::1/", 0],
    ["http_2xx", "ftp://localhost/", 0],
  ];
  if (ports.http6 !== 0) {
    const six = `http://[::1]:${ports.http6}/`;
    cases.push(["post", six, 1], ["http_2xx", six, 1], ["http_only4", six, 0]);
    cases.push(["tcp_connect", `[::1]:${ports.http6}`, 1]);
  } else t.diagnostic("no IPv6 here: it is not compared");
  const faults = [];
  for (const [module, target, success] of cases) {
    const [theirs, ours] = await both(module, target);
    const why = (await quarterdeck.get(`/exporters/blackbox/${probePath(module, target, "&debug=true")}`)).text;
    assert.equal(parseText(ours).samples.get("probe_success{}"), success, `${module} ${target}\n${why}`);
    faults.push(...compare(theirs, ours).map((fault) => `${module} ${target}: ${fault}`));
  }
  assert.deepEqual(
    faults.filter((fault) => !kOtherwise.some(([pattern]) => pattern.test(fault))),
    [],
  );
  // What goes over the wire is alike as well, but for the name of the program.
  const posts = seen.filter((one) => one.method === "POST");
  const told = ({ headers }) => ({ ...headers, "user-agent": "", connection: "", "accept-encoding": "" });
  assert.deepEqual(told(posts[1]), told(posts[0]));

  const hosts = seen.length;
  await both("http_2xx", `${web}/`, "&hostname=www.example");
  assert.deepEqual(
    seen.slice(hosts).map((one) => one.headers.host),
    ["www.example", "www.example"],
  );

  await t.test("echo requests", async (sub) => {
    const [theirs, ours] = await both("icmp", "localhost");
    if (parseText(ours).samples.get("probe_success{}") === 0 && parseText(theirs).samples.get("probe_success{}") === 0)
      return sub.skip("echo requests are not allowed here");
    assert.deepEqual(compare(theirs, ours), []);
    if (ports.http6 !== 0) assert.deepEqual(compare(...(await both("icmp6", "::1"))), []);
  });

  await t.test("nginx with TLS", { skip: missing(kNginx) }, async (sub) => {
    const port = await freePort();
    const conf = writeConfig(
      dir,
      "nginx.conf",
      `daemon off; pid ${dir}/nginx.pid; error_log ${dir}/error.log; events {}
http { access_log off; gzip on; gzip_types *; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
 server { listen 127.0.0.1:${port} ssl http2; ssl_certificate ${keys.cert}; ssl_certificate_key ${keys.key}; location / { return 200 "it works"; } } }`,
    );
    startProgram(sub, kNginx, ["-c", conf, "-p", dir]);
    const target = `https://localhost:${port}/`;
    await until(async () => parseText((await both("https", target))[1]).samples.get("probe_success{}") === 1, "nginx");
    const [theirs, ours] = await both("https", target);
    assert.deepEqual(compare(theirs, ours), []);
    assert.equal(parseText(ours).samples.get("probe_http_version{}"), 2);
  });

  await t.test("memcached", { skip: missing("memcached") }, async (sub) => {
    const port = await freePort();
    startProgram(sub, "memcached", [
      "-l",
      "127.0.0.1",
      "-p",
      `${port}`,
      ...(process.getuid() === 0 ? ["-u", "nobody"] : []),
    ]);
    const target = `127.0.0.1:${port}`;
    await until(
      async () => parseText((await both("memcached", target))[1]).samples.get("probe_success{}") === 1,
      "memcached",
    );
    const [theirs, ours] = await both("memcached", target);
    assert.deepEqual(compare(theirs, ours), []);
  });

  await t.test("what is asked wrong is refused alike", async () => {
    for (const query of ["probe", "probe?target=x&module=none", "probe?module=http_2xx"]) {
      const theirs = await request(`${peer}/${query}`);
      const ours = await quarterdeck.get(`/exporters/blackbox/${query}`);
      assert.equal(ours.status, theirs.status, query);
      assert.equal(ours.text, theirs.text, query);
    }
    const wrong = await quarterdeck.get(`/exporters/blackbox/${probePath("ssh", "x:1")}`, {
      headers: { "X-Prometheus-Scrape-Timeout-Seconds": "soon" },
    });
    assert.equal(wrong.status, 400);
  });

  await t.test("the exporter's own page", async () => {
    const theirs = parseText((await request(`${peer}/metrics`)).text);
    const ours = parseText((await quarterdeck.get("/exporters/blackbox/metrics")).text);
    for (const [name, family] of theirs.families) {
      if (kLeftOut.some(([pattern]) => pattern.test(name))) continue;
      assert.deepEqual(ours.families.get(name), family, name);
    }
    assert.equal(ours.samples.get("blackbox_exporter_config_last_reload_successful{}"), 1);
    assert.equal(ours.samples.get("blackbox_module_unknown_total{}"), 1);
  });

  await t.test("debug tells what happened, and no secret", async () => {
    const page = await quarterdeck.get(`/exporters/blackbox/${probePath("login", `${web}/moved`, "&debug=true")}`);
    assert.match(page.headers["content-type"], /^text\/plain/);
    assert.match(page.text, /^Logs for the probe:\nts=.*msg="Beginning probe"/);
    assert.match(page.text, /Following redirect.*\n.*Making HTTP request/s);
    assert.match(page.text, /Metrics that would have been returned:\n# HELP/);
    assert.match(page.text, /Module configuration:\n.*password: ["']?<secret>/s);
    assert.equal(page.text.includes("geheim"), false);
  });
});

test("a target that hangs takes its time and delays no other", async (t) => {
  const silent = await listening(
    t,
    net.createServer(() => {}),
  );
  const file = writeConfig(scratch(t), "blackbox.yml", modulesFile("/none"));
  const quarterdeck = await start(t, { args: ["--set", `observe.blackbox.modules_file=${file}`] });
  const ask = async (module, seconds) => {
    const from = Date.now();
    const answer = await quarterdeck.get(`/exporters/blackbox/${probePath(module, `127.0.0.1:${silent}`)}`, {
      headers: { "X-Prometheus-Scrape-Timeout-Seconds": `${seconds}` },
    });
    const { samples } = parseText(answer.text);
    return {
      ms: Date.now() - from,
      success: samples.get("probe_success{}"),
      s: samples.get("probe_duration_seconds{}"),
    };
  };
  const hanging = Array.from({ length: 40 }, () => ask("patient", 60));
  const others = await Promise.all(Array.from({ length: 5 }, () => ask("tcp_connect", 60)));
  for (const other of others) {
    assert.equal(other.success, 1);
    assert.ok(other.ms < 1800, `${other.ms} ms`);
  }
  // The module's time is 2 s; the caller's, less half a second, counts where it is shorter.
  const short = await ask("patient", 1.5);
  assert.ok(short.s >= 0.9 && short.s < 1.9, `${short.s} s`);
  for (const one of await Promise.all(hanging)) {
    assert.equal(one.success, 0);
    assert.ok(one.s >= 1.9 && one.s < 10, `${one.s} s`);
  }
});

test("a stop does not wait for probes that hang", async (t) => {
  const silent = await listening(
    t,
    net.createServer(() => {}),
  );
  const quarterdeck = await start(t);
  const answers = ["ssh_banner", "http_2xx"].map((module) =>
    quarterdeck.get(`/exporters/blackbox/${probePath(module, `127.0.0.1:${silent}`)}`).catch(() => {}),
  );
  await until(async () => (await quarterdeck.get("/-/ready")).status === 200, "readiness");
  const from = Date.now();
  const { code } = await quarterdeck.stop();
  assert.equal(code, 0);
  assert.ok(Date.now() - from < 8000, `${Date.now() - from} ms`);
  await Promise.all(answers);
});

test("targets of the configuration are probed into the store, and reloaded", async (t) => {
  const dir = scratch(t);
  let well = true;
  const server = http.createServer((_, response) => response.writeHead(well ? 200 : 503).end("x"));
  const port = await listening(t, server);
  const target = `http://127.0.0.1:${port}/`;
  const silent = await listening(
    t,
    net.createServer(() => {}),
  );
  const config = writeConfig(
    dir,
    "quarterdeck.yaml",
    `observe:
  blackbox:
    targets:
      - {target: "${target}", name: shop, interval: 1s}
      - {target: "${target}", module: http_post_2xx, interval: 1s}
      - {target: "127.0.0.1:${port}", module: tcp_connect, interval: 1s, timeout: 500ms}
      - {target: "127.0.0.1:${silent}", module: ssh_banner, interval: 1s}
`,
  );
  const quarterdeck = await start(t, { args: ["--config", config] });
  const series = 'probe_success{job="blackbox"}';
  const found = await until(async () => {
    const result = await quarterdeck.query(series);
    return result.length === 4 && result;
  }, "four series");
  assert.deepEqual(
    found.map(({ metric, value }) => [metric.instance, metric.module, value[1]]).sort(),
    [
      [`127.0.0.1:${port}`, "tcp_connect", "1"],
      [`127.0.0.1:${silent}`, "ssh_banner", "0"],
      [target, "http_2xx", "1"],
      [target, "http_post_2xx", "1"],
    ].sort(),
  );
  const ups = await quarterdeck.query(`up{job="blackbox", instance="${target}"}`);
  assert.deepEqual(ups.map(({ metric }) => metric.module).sort(), ["http_2xx", "http_post_2xx"]);
  // The one that hangs takes its time, and the others come each second all the same.
  const hung = await quarterdeck.value('probe_duration_seconds{module="ssh_banner"}');
  assert.ok(hung >= 0.9 && hung < 3, `${hung} s`);
  await until(
    async () => (await quarterdeck.value('count_over_time(probe_success{module="http_2xx"}[10s])')) >= 4,
    "passes",
  );
  // Silence is a finding: it makes no probe less frequent.
  const skipped = 'quarterdeck_collector_passes_skipped_total{collector="blackbox",reason="back_off"}';
  await until(
    async () => (await quarterdeck.value('count_over_time(probe_success{module="ssh_banner"}[1m])')) >= 5,
    "5",
  );
  assert.equal(await quarterdeck.value(skipped), 0);
  // The exporter's own page waits for no target; one of them is probed for who asks.
  const page = (await quarterdeck.get("/exporters/blackbox/metrics")).text;
  assert.match(page, /^blackbox_exporter_config_last_reload_successful 1$/m);
  assert.doesNotMatch(page, /probe_success/);
  const one = await quarterdeck.get(`/exporters/blackbox/metrics?target=${encodeURIComponent(target)}`);
  assert.equal(parseText(one.text).samples.get(`probe_success{instance="${target}",module="http_post_2xx"}`), 1);

  const shown = async () => {
    const { stdout } = await runCommand(["targets", "--url", quarterdeck.url, "--output", "json"]);
    return JSON.parse(stdout);
  };
  const all = JSON.stringify(await shown());
  assert.ok(all.includes("shop") && all.includes("blackbox"), all);
  well = false;
  await until(async () => (await quarterdeck.value(`probe_success{module="http_2xx"}`)) === 0, "a failure");
  await until(async () => /status is 503/.test(JSON.stringify(await shown())), "its reason among the targets");

  writeConfig(dir, "quarterdeck.yaml", `observe: {blackbox: {targets: [{target: "${target}", module: none}]}}\n`);
  assert.equal((await quarterdeck.get("/-/reload", { method: "POST" })).status === 200, false);
  quarterdeck.child.kill("SIGHUP");
  await until(() => quarterdeck.logged("there is no module").length > 0, "the refusal of a module that is not there");
  assert.equal(
    await until(
      async () =>
        (await quarterdeck.get("/exporters/blackbox/metrics")).text.match(/reload_successful\S* (\d)/)?.[1] === "0",
      "its mark",
    ),
    true,
  );
  writeConfig(
    dir,
    "quarterdeck.yaml",
    `observe: {blackbox: {modules_file: "${dir}/b.yml", targets: [{target: "127.0.0.1:${port}", module: mine, interval: 1s}]}}\n`,
  );
  writeConfig(dir, "b.yml", "modules: {mine: {prober: tcp}}\n");
  quarterdeck.child.kill("SIGHUP");
  await until(async () => {
    const result = await quarterdeck.query(series);
    return result.length === 1 && result[0].metric.module === "mine";
  }, "the targets of the new configuration alone");
  assert.equal((await quarterdeck.get(`/exporters/blackbox/${probePath("http_2xx", target)}`)).status, 400);
});

test("a modules file that is wrong is refused with its place", async (t) => {
  const file = writeConfig(
    scratch(t),
    "blackbox.yml",
    "modules:\n  m:\n    prober: http\n    http:\n      oauth2: {client_id: x}\n",
  );
  const { code, stderr } = await runCommand([
    "run",
    "--data-dir",
    path.join(scratch(t), "d"),
    "--listen",
    "127.0.0.1:0",
    "--set",
    `observe.blackbox.modules_file=${file}`,
  ]);
  assert.notEqual(code, 0);
  assert.match(stderr, /blackbox\.yml:5:\d+: .*oauth2 is not supported/);
  const checked = await runCommand(["check", file]);
  assert.equal(checked.code, 1);
  assert.match(checked.stdout, /oauth2 is not supported/);
});

test("port 9115 is the exporter's", async (t) => {
  // An address of loopback that nothing else is likely to use; all drop-in ports are opened on it.
  const bind = "127.11.15.1";
  for (const port of [9100, 8081, 9187, 9104, 9150, 9121, 9113, 9400, 9115]) {
    const free = await new Promise((resolve) => {
      const server = net.createServer();
      server.on("error", () => resolve(false));
      server.listen(port, bind, () => server.close(() => resolve(true)));
    });
    if (!free) return t.skip(`port ${port} is taken on this machine`);
  }
  await start(t, { args: ["--set", "exporters.ports=drop-in", "--set", `exporters.bind=${bind}`] });
  const port = await listening(
    t,
    net.createServer(() => {}),
  );
  const url = `http://${bind}:9115`;
  const probed = await request(`${url}/${probePath("tcp_connect", `127.0.0.1:${port}`)}`);
  assert.equal(parseText(probed.text).samples.get("probe_success{}"), 1, probed.text);
  assert.match((await request(`${url}/metrics`)).text, /^blackbox_module_unknown_total 0$/m);
  assert.equal((await request(`http://${bind}:9100/${probePath("tcp_connect", "x:1")}`)).status, 404);
});
