// What of all series comes from where: rows for the tables, each with its share and the query that counts it.
import { formatCount, formatPercent } from "../../lib/format.js";
import { quote } from "../../lib/quote.js";

const kNearPercent = 80;
const kFullPercent = 95;

const kPlainName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

const selector = (name, value) => `{${kPlainName.test(name) ? name : quote(name)}=${quote(value)}}`;

// How near the limit of series is, as a state says it.
export function fullness({ series, seriesLimit }) {
  if (!seriesLimit) return { level: "good", word: "no limit", percent: 0 };
  const percent = (100 * series) / seriesLimit;
  const word = `${formatPercent(percent)} of ${formatCount(seriesLimit)}`;
  if (percent >= kFullPercent) return { level: "bad", word, percent };
  if (percent >= kNearPercent) return { level: "warn", word, percent };
  return { level: "good", word, percent };
}

function row(key, name, series, all, expr) {
  return { key, name, series, share: all > 0 ? formatPercent((100 * series) / all) : "–", expr };
}

export const metricRows = ({ series, byMetric }) =>
  byMetric.map((one) =>
    row(
      one.name,
      one.name,
      one.series,
      series,
      kPlainName.test(one.name) ? `count(${one.name})` : `count(${selector("__name__", one.name)})`,
    ),
  );

export const jobRows = ({ series, byJob }) =>
  byJob.map((one) =>
    row(one.name, one.name || "no job", one.series, series, `count by (__name__) (${selector("job", one.name)})`),
  );

export const targetRows = ({ series, byTarget }) =>
  byTarget.map((one) => ({
    ...row(
      `${one.job}\n${one.instance}`,
      one.instance || "no instance",
      one.series,
      series,
      `count by (__name__) ({job=${quote(one.job)}, instance=${quote(one.instance)}})`,
    ),
    job: one.job,
  }));

// name=value, cut at the first =: names of labels seldom have one.
export const pairRows = ({ series, byPair }) =>
  byPair.map((one) => {
    const at = one.name.indexOf("=");
    const [name, value] = [one.name.slice(0, at), one.name.slice(at + 1)];
    return row(
      one.name,
      `${name}=${quote(value)}`,
      one.series,
      series,
      `count by (__name__) (${selector(name, value)})`,
    );
  });

export const labelRows = ({ byLabel }) =>
  byLabel.map((one) => ({
    key: one.name,
    name: one.name,
    values: one.values,
    bytes: one.bytes,
    expr: `topk(20, count by (${kPlainName.test(one.name) ? one.name : quote(one.name)}) (${kPlainName.test(one.name) ? `{${one.name}!=""}` : `{${quote(one.name)}!=""}`}))`,
  }));
