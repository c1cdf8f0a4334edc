// Query strings as Go parses them, and Docker's way of reading booleans from them.
import { EngineError } from "../../core/errors.ts";

/** Every value of every key, in order. */
export type Query = ReadonlyMap<string, readonly string[]>;

const empty: Query = new Map();

/** Go's url.ParseQuery. Throws `request.invalid` with Go's text for bad escapes and semicolons. */
export function parseQuery(text: string): Query {
  if (text === "") return empty;
  const query = new Map<string, string[]>();
  for (const part of text.split("&")) {
    if (part === "") continue;
    if (part.includes(";")) {
      throw new EngineError("request.invalid", "invalid semicolon separator in query");
    }
    const equals = part.indexOf("=");
    const key = unescapeQuery(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? "" : unescapeQuery(part.slice(equals + 1));
    const values = query.get(key);
    if (values === undefined) query.set(key, [value]);
    else values.push(value);
  }
  return query;
}

/** The first value of a key; "" when it is missing, as Go's Form.Get. */
export function first(query: Query, key: string): string {
  return query.get(key)?.[0] ?? "";
}

const falseWords = new Set(["", "0", "no", "false", "none"]);

/** moby's BoolValue: a few words are false, anything else is true. */
export function isTrue(query: Query, key: string): boolean {
  return !falseWords.has(first(query, key).trim().toLowerCase());
}

function unescapeQuery(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return percentDecode(spaced);
}

/** Percent-decoding. Bytes that are no UTF-8 become U+FFFD, as they do in Go's JSON. */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bad = /%(?![0-9a-fA-F]{2})/.exec(text);
  if (bad !== null) {
    const excerpt = text.slice(bad.index, bad.index + 3);
    throw new EngineError("request.invalid", `invalid URL escape ${JSON.stringify(excerpt)}`);
  }
  try {
    return decodeURIComponent(text);
  } catch {
    const bytes = Buffer.from(
      text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      ),
      "latin1",
    );
    return bytes.toString("utf8");
  }
}
