// The answer of /api/v1/targets by pool, what is down first.

const kOrder = { down: 0, unknown: 1, up: 2 };

export function countTargets(active) {
  const counts = { all: active.length, up: 0, down: 0, unknown: 0 };
  for (const target of active) counts[target.health in kOrder ? target.health : "unknown"] += 1;
  return counts;
}

// show: "all", "down" (or not yet known) or "up".
export function poolsFrom(active, show, text) {
  const wanted = text.trim().toLowerCase();
  const pools = new Map();
  for (const target of active) {
    if (!pools.has(target.scrapePool)) pools.set(target.scrapePool, { name: target.scrapePool, all: [], targets: [] });
    const pool = pools.get(target.scrapePool);
    pool.all.push(target);
    if (show === "up" && target.health !== "up") continue;
    if (show === "down" && target.health === "up") continue;
    const labels = Object.entries(target.labels ?? {}).map(([name, value]) => `${name}=${value}`);
    const searched = [target.scrapeUrl, target.lastError, ...labels].join(" ").toLowerCase();
    if (!wanted || searched.includes(wanted)) pool.targets.push(target);
  }
  const rank = (target) => kOrder[target.health] ?? 1;
  return [...pools.values()]
    .filter((pool) => pool.targets.length > 0)
    .map((pool) => ({
      ...pool,
      up: pool.all.filter((target) => target.health === "up").length,
      targets: pool.targets.sort((a, b) => rank(a) - rank(b) || (a.scrapeUrl < b.scrapeUrl ? -1 : 1)),
    }))
    .sort((a, b) => rank(a.targets[0]) - rank(b.targets[0]) || (a.name < b.name ? -1 : 1));
}
