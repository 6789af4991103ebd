// The text format of metrics, for tests.

/**
 * Reads a page of metrics:
 * - families: name → {type, help, labels: set of "a,b", samples: "name{labels sorted}" → value}
 * - samples: "name{labels sorted}" → value, of all families
 * - familyOf: "name{labels sorted}" → the name of its family
 * - list: [{name, labels: {label: text}, value}]
 */
export function parseText(text) {
  const page = { families: new Map(), samples: new Map(), familyOf: new Map(), list: [] };
  const family = (name) => {
    if (!page.families.has(name)) page.families.set(name, { labels: new Set(), samples: new Map() });
    return page.families.get(name);
  };
  let current = "";
  for (const line of text.split("\n")) {
    const comment = line.match(/^# (HELP|TYPE) (\S+) (.*)$/);
    if (comment) {
      const [, kind, name, rest] = comment;
      current = name;
      family(name)[kind.toLowerCase()] = rest;
    } else if (line !== "" && !line.startsWith("#")) {
      const [, name, , inner = "", written] = line.match(/^([^{ ]+)(\{(.*)\})? (\S+)$/);
      const pairs = [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].sort(([a], [b]) => (a < b ? -1 : 1));
      const key = `${name}{${pairs.map(([pair]) => pair).join(",")}}`;
      const value = Number(written);
      const own = family(name.startsWith(current) && current !== "" ? current : name);
      own.labels.add(
        pairs
          .map(([, label]) => label)
          .sort()
          .join(","),
      );
      own.samples.set(key, value);
      page.samples.set(key, value);
      page.familyOf.set(key, name.startsWith(current) && current !== "" ? current : name);
      page.list.push({ name, labels: Object.fromEntries(pairs.map(([, label, of]) => [label, of])), value });
    }
  }
  return page;
}
