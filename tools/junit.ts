// Reads what Bun's test runner writes with `--reporter=junit`: one outcome for each test.

export interface TestOutcome {
  /** The names of the groups and of the test, joined by " > ". */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

/** Text that is not a report gives no outcomes; the caller counts that as a failure. */
export function parseJunit(xml: string): readonly TestOutcome[] {
  return [...xml.matchAll(/<testcase\b([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)].map((match) => {
    const [, attributes = "", , body = ""] = match;
    const group = attribute(attributes, "classname");
    const name = attribute(attributes, "name");
    return { name: group === "" ? name : `${group} > ${name}`, outcome: outcomeOf(body) };
  });
}

function outcomeOf(body: string): TestOutcome["outcome"] {
  if (/<(failure|error)\b/.test(body)) return "failed";
  return /<skipped\b/.test(body) ? "skipped" : "passed";
}

function attribute(attributes: string, name: string): string {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  return value.replace(/&(#x?[0-9a-f]+|[a-z]+);/gi, (whole, entity: string) =>
    decode(whole, entity),
  );
}

const namedEntities: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function decode(whole: string, entity: string): string {
  if (entity.startsWith("#x")) return String.fromCodePoint(Number.parseInt(entity.slice(2), 16));
  if (entity.startsWith("#")) return String.fromCodePoint(Number(entity.slice(1)));
  return namedEntities[entity] ?? whole;
}
