// Progress streams in a form that is the same in each run: what is told, not how often.
//
// Set aside: how far a layer was when it was told about, what is told only of one that takes time
// (dockerd drops "Download complete" as it comes), sizes, and the order of what is told of layers.
// The bytes of single lines are compared in the tests of the code.

const onItsWay: ReadonlySet<string> = new Set([
  "Download complete",
  "Downloading",
  "Pulling fs layer",
  "Uploading",
]);

/** The lines of a progress stream; undefined for what is none. */
export function progressLines(body: string): readonly object[] | undefined {
  if (!body.endsWith("}\r\n")) return undefined;
  const lines = body.split("\r\n").slice(0, -1);
  return lines.map((line): object => {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) throw new Error(`not an object: ${line}`);
    return value;
  });
}

/** What is compared of a stream, as text; undefined for what is none. */
export function progressForm(body: string): string | undefined {
  const lines = progressLines(body);
  if (lines === undefined) return undefined;
  const layers = new Map<string, Set<string>>();
  const others: object[] = [];
  for (const line of lines) {
    if (!("progressDetail" in line && "id" in line && "status" in line)) {
      others.push(withoutSize(line));
      continue;
    }
    if (onItsWay.has(String(line.status))) continue;
    const id = String(line.id);
    const told = layers.get(id) ?? new Set();
    layers.set(id, told.add(String(line.status)));
  }
  const sorted = [...layers].sort(([one], [other]) => (one < other ? -1 : 1));
  const ofLayers = sorted.map(([id, told]) => [id, [...told].sort()]);
  return JSON.stringify({ lines: others, layers: Object.fromEntries(ofLayers) });
}

function withoutSize(line: object): object {
  if (!("aux" in line) || typeof line.aux !== "object") return line;
  return { ...line, aux: { ...line.aux, Size: "<bytes>" } };
}
