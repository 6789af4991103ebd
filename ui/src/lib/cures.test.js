import { describe, expect, it } from "vitest";
import { cureParts } from "./cures.js";

const codes = (why) =>
  cureParts(why)
    .map((part) => part.code)
    .filter(Boolean);

describe("why something cannot be read", () => {
  it("has the statement that cures it apart, to be copied whole", () => {
    expect(
      cureParts(
        'PostgreSQL at a:5432: user "mon" sees its own sessions only; as a superuser run: GRANT pg_monitor TO "mon";',
      ),
    ).toEqual([
      { text: 'PostgreSQL at a:5432: user "mon" sees its own sessions only; as a superuser run:' },
      { code: 'GRANT pg_monitor TO "mon";' },
    ]);
  });

  it("keeps statements that belong together in one box, and semicolons within quotes in their statement", () => {
    expect(
      codes(
        `run: ALTER ROLE "m" PASSWORD 'a;b'; (where there is no such user: CREATE ROLE "m" LOGIN PASSWORD '…'; GRANT pg_monitor TO "m";)`,
      ),
    ).toEqual([`ALTER ROLE "m" PASSWORD 'a;b';`, `CREATE ROLE "m" LOGIN PASSWORD '…'; GRANT pg_monitor TO "m";`]);
  });

  it("knows the grants of MySQL, the commands of Redis, lines in backticks and groups of the system", () => {
    expect(codes("run GRANT PROCESS, SELECT ON *.* TO 'm'@'10.0.0.%'; on the server")).toEqual([
      "GRANT PROCESS, SELECT ON *.* TO 'm'@'10.0.0.%';",
    ]);
    expect(codes("a:1: run ACL SETUSER mon +config|get +slowlog|len on the server, and ACL SAVE to keep it")).toEqual([
      "ACL SETUSER mon +config|get +slowlog|len",
    ]);
    expect(codes("such as `host all mon 10.0.0.1/32 scram-sha-256`, then run: SELECT pg_reload_conf();")).toEqual([
      "host all mon 10.0.0.1/32 scram-sha-256",
      "SELECT pg_reload_conf();",
    ]);
    expect(codes("add its user to the socket's group (usermod -aG docker USER, or so)")).toEqual([
      "usermod -aG docker USER",
    ]);
  });

  it("leaves text without a cure as it is, also where it is odd", () => {
    expect(cureParts("connection refused; see whether it runs")).toEqual([
      { text: "connection refused; see whether it runs" },
    ]);
    expect(cureParts("the server's GRANT of `")).toEqual([{ text: "the server's GRANT of `" }]);
    expect(cureParts("")).toEqual([]);
  });

  it("is done at once with a hostile text", () => {
    const began = performance.now();
    cureParts(`GRANT ${"'".repeat(20_000)}`);
    cureParts(`GRANT ${"x ".repeat(20_000)}`);
    cureParts("GRANT SELECT ".repeat(300));
    expect(performance.now() - began).toBeLessThan(500);
  });
});
