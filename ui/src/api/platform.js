// Quarterdeck's own API, one function an endpoint.
import { call } from "./client.js";

export const about = (options) => call("/api/platform/v1/about", {}, options);
export const services = (options) => call("/api/platform/v1/services", {}, options);
export const cardinality = (params, options) => call("/api/platform/v1/cardinality", params, options);
export const containers = (options) => call("/api/platform/v1/containers", {}, options);
