// Texts that programs stumble over: names, patterns, values and JSON of ill will.
import type { Random } from "../support/random.ts";

/** None of them is a name of a volume, whatever is done to it on its way into a path or JSON. */
export const badNames: readonly string[] = [
  ...["", " ", ".", "..", "-", "_", "a", "é", "-a", "_a", ".a", "a b", "a/b", "a\\b", "a:b"],
  ...["../up", "../../etc/passwd", "/etc/passwd", "a/../../b", "ok/../../up", "./ok", "ok/", "/"],
  ...["ok\0", "ok\n", "\nok", "ok\r\nX: y", "ok\t", "ok\u007f", "ok\u2028", "оk", "ok\ud800"],
  ...["%2e%2e", "%00", "ok%00", "ok%2f..%2fup", "..%2f..%2fup", "%", "%zz", "%c3%28", "%ff%fe"],
  ...["a".repeat(256), "a".repeat(4_096), "é".repeat(200), "$(id)", "`id`", "ok;id", "ok|id", "*"],
  ...["ok?", "ok#x", "con|nul", "{}", "[]", "null?", "ok\u202egnp", "\ufeffok", "ok,name=b"],
];

/** Patterns that stop a backtracking engine for ever, and some that no engine takes. */
export const badPatterns: readonly string[] = [
  ...["(a+)+$", "(a|aa)+$", "(a|a?)+$", "(.*a){25}", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"],
  ...["((((((((((a*)*)*)*)*)*)*)*)*)*)", "a{1000}{1000}", "(?:a{1,1000}){1,1000}", "(", "[", "*"],
  ...[
    "a**",
    "(?<",
    "\\",
    "\\1",
    "(?=a)",
    "(?<!a)",
    "[z-a]",
    "\\p{Nope}",
    "(?i)OK",
    "\0",
    "\\x{110000}",
  ],
  ...["(".repeat(1_000), "a?".repeat(400) + "a".repeat(200), "[".repeat(2_000), ".*".repeat(500)],
  ...["(?P<n>a)(?P<n>b)", "a{,5}", "a{5,1}", "a{99999999999}", "\\Qok\\E", "(?s).*", "\ud800"],
];

/** Keys that are something else in JavaScript. */
export const badKeys: readonly string[] = [
  ...["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "length"],
  ...["__defineGetter__", "then", "toJSON", "", "0", "-1", "\0", "a".repeat(5_000), "\ud800", "❄"],
];

/** JSON texts that no body and no filter may be; some are no JSON. */
export const badJson: readonly string[] = [
  ...[
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[]",
    "nul",
    "true",
    "0",
    "-",
    "-0",
    "1e999",
    "1e-999",
    '"',
    '"x"',
  ],
  ...[
    "{}{}",
    "{} x",
    "{,}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "{a:1}",
    "{'a':1}",
    "// x",
    "NaN",
    "[1,]",
  ],
  ...[
    '{"Name":1}',
    '{"Name":{}}',
    '{"Name":[]}',
    '{"Name":true}',
    '{"Labels":[]}',
    '{"Labels":"x"}',
  ],
  ...['{"Labels":{"a":1}}', '{"Labels":{"a":{}}}', '{"DriverOpts":{"a":[]}}', '{"DriverOpts":7}'],
  ...['{"Driver":1}', '{"Driver":"../x"}', '{"Driver":"\\u0000"}', '{"Driver":"nosuch"}'],
  ...['{"Name":"\\u0000"}', '{"Name":"\\ud800"}', '{"Name":"\\x41"}', '{"Name":"\t"}', "\ufeff{}x"],
  ...['{"__proto__":{"Name":"ok"},"Name":7}', '{"constructor":{"prototype":{}},"Name":7}'],
  ...['{"ClusterVolumeSpec":{}}', '{"ClusterVolumeSpec":1}', `{"Name":${"9".repeat(5_000)}}`],
  ...[
    '{"DriverOpts":{"type":"tmpfs"}}',
    '{"DriverOpts":{"size":"10m"}}',
    '{"DriverOpts":{"x":"y"}}',
  ],
  ...[
    "[".repeat(100),
    "[".repeat(100_000),
    '{"a":'.repeat(20_000),
    `${"[".repeat(9_000)}${"]".repeat(9_000)}`,
  ],
];

/** Bytes that are no UTF-8, as Latin-1. */
export const badBytes: readonly string[] = [
  ...[
    "\xff",
    "\xc3\x28",
    "\xa0\xa1",
    "\xe2\x28\xa1",
    "\xf0\x28\x8c\xbc",
    "\xed\xa0\x80",
    "\xc0\x80",
  ],
  ...["\xf8\xa1\xa1\xa1\xa1", "\xfe\xfe\xff\xff", "\x80", "\xf4\x90\x80\x80"],
];

/** Any bytes, as Latin-1. */
export function anyBytes(random: Random, lengthMax: number): string {
  const codes = Array.from({ length: random.below(lengthMax + 1) }, () => random.below(256));
  return String.fromCharCode(...codes);
}

/** A few bytes changed, taken out or put in; Latin-1. */
export function mutated(random: Random, text: string): string {
  let result = text;
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(result.length + 1);
    const head = result.slice(0, at);
    const tail = result.slice(at);
    const kind = random.below(5);
    if (kind === 0) result = head + tail.slice(1);
    else if (kind === 1) result = head + anyBytes(random, 8) + tail;
    else if (kind === 2) result = head + String.fromCharCode(random.below(256)) + tail.slice(1);
    else if (kind === 3) result = head + tail.slice(0, random.below(40)) + tail;
    else result = head + tail.slice(random.below(40));
  }
  return result;
}

/** UTF-8 as Latin-1, which is how raw requests are written here. */
export function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
