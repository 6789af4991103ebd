// Holds answers to the machine-readable description of the Prometheus HTTP API.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import { parse } from "yaml";
import { conformance } from "./lib.mjs";

export class Contract {
  constructor() {
    const text = readFileSync(path.join(conformance, "api/prometheus-openapi-3.1.yaml"), "utf8");
    this.api = parse(text, { maxAliasCount: -1 });
    // The description wants two texts in a string result; Prometheus's documentation and every release give
    // [time, "text"], which is what clients read.
    for (const shape of this.api.components.schemas.QueryData.anyOf) {
      if (shape.properties.resultType.enum[0] === "string")
        shape.properties.result.items = { type: ["number", "string"] };
    }
    this.ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
    this.ajv.addSchema({ $id: "api", ...this.api });
    this.checked = new Map();
  }

  /** Fails unless `body` is what the description allows for this path, method and status. */
  check(apiPath, method, status, body) {
    const operation = this.api.paths[apiPath]?.[method.toLowerCase()];
    assert.ok(operation, `${method} ${apiPath} is not in the description`);
    const pointer = (part) => part.replaceAll("~", "~0").replaceAll("/", "~1");
    const code = operation.responses[status] ? String(status) : "default";
    assert.ok(operation.responses[code], `${method} ${apiPath}: no answer ${status} is described`);
    const ref = `api#/paths/${pointer(apiPath)}/${method.toLowerCase()}/responses/${code}/content/application~1json/schema`;
    const validate = this.ajv.getSchema(ref) ?? this.ajv.compile({ $ref: ref });
    const valid = validate(body);
    assert.ok(
      valid,
      `${method} ${apiPath} ${status}: ${this.ajv.errorsText(validate.errors)}\n${JSON.stringify(body).slice(0, 600)}`,
    );
    this.checked.set(`${method} ${apiPath} ${status}`, true);
  }
}
