/** Steps (letters put in, taken out or exchanged) from one text to another. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** Those of `known` that may have been meant by `wanted`, nearest first, at most `limit`. */
export function nearNames(wanted: string, known: Iterable<string>, limit = 5): string[] {
  const ranked = [...new Set(known)].map((name) => ({
    name,
    distance: name.includes(wanted) || wanted.includes(name) ? 1 : editDistance(wanted, name),
  }));
  return ranked
    .filter(({ name, distance }) => name !== "" && distance <= Math.max(2, wanted.length / 2))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, limit)
    .map(({ name }) => name);
}
