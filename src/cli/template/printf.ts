// Go's fmt.Sprintf for the values that templates have.
import { GoStruct, type GoValue, printValue, toJson, typeNameOf } from "./values.ts";

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly verb: string;
}

/** Characters that a width or a precision may ask for. */
const widthMax = 10_000;

function pad(text: string, { flags, width }: Directive, isNumber: boolean): string {
  if (flags.includes("-")) return text.padEnd(width);
  if (!flags.includes("0") || !isNumber) return text.padStart(width);
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + text.slice(sign.length).padStart(width - sign.length, "0");
}

function wrong(directive: Directive, value: GoValue): string {
  if (value === null) return `%!${directive.verb}(<nil>)`;
  return `%!${directive.verb}(${typeNameOf(value)}=${printValue(value)})`;
}

function signed(text: string, directive: Directive): string {
  return directive.flags.includes("+") && !text.startsWith("-") ? `+${text}` : text;
}

function formatInteger(directive: Directive, value: bigint): string {
  const bases: Readonly<Record<string, number>> = { b: 2, o: 8, d: 10, x: 16, X: 16 };
  const base = bases[directive.verb];
  if (directive.verb === "c") return String.fromCodePoint(Number(value));
  if (base === undefined) return wrong(directive, value);
  const digits = value.toString(base);
  return pad(
    signed(directive.verb === "X" ? digits.toUpperCase() : digits, directive),
    directive,
    true,
  );
}

function formatFloat(directive: Directive, value: number): string {
  const precision = directive.precision ?? 6;
  let text: string;
  if (directive.verb === "f" || directive.verb === "F")
    text = value.toFixed(Math.min(100, precision));
  else if (directive.verb === "e") {
    text = value.toExponential(Math.min(100, precision)).replace(/e([+-])([0-9])$/, "e$10$2");
  } else if (directive.verb === "g") {
    const short =
      directive.precision === undefined ? value : Number(value.toPrecision(precision || 1));
    text = printValue(short);
  } else return wrong(directive, value);
  return pad(signed(text, directive), directive, true);
}

function formatText(directive: Directive, text: string): string {
  const cut =
    directive.precision === undefined ? text : [...text].slice(0, directive.precision).join("");
  switch (directive.verb) {
    case "s":
      return pad(cut, directive, false);
    case "q":
      return pad(JSON.stringify(cut), directive, false);
    case "x":
    case "X": {
      const hex = new TextEncoder().encode(cut).toHex();
      return pad(directive.verb === "X" ? hex.toUpperCase() : hex, directive, false);
    }
    default:
      return wrong(directive, text);
  }
}

function format(directive: Directive, value: GoValue): string {
  const { verb } = directive;
  if (verb === "v") {
    const isNumber = typeof value === "bigint" || typeof value === "number";
    const isPointer = value instanceof GoStruct && value.typeName.startsWith("*");
    const printed = printValue(value, directive.flags.includes("+"));
    const text = directive.flags.includes("#") ? toJson(value) : (isPointer ? "&" : "") + printed;
    return pad(text, directive, isNumber);
  }
  if (verb === "T") return pad(typeNameOf(value), directive, false);
  if (verb === "t" && typeof value === "boolean") return pad(String(value), directive, false);
  if (typeof value === "string") return formatText(directive, value);
  if (typeof value === "bigint") return formatInteger(directive, value);
  if (typeof value === "number") return formatFloat(directive, value);
  if ((verb === "s" || verb === "q") && value !== null && typeof value === "object") {
    return pad(printValue(value), directive, false);
  }
  return wrong(directive, value);
}

/** Formats as Go does, including what Go writes for too few or too many values. */
export function printf(pattern: string, values: readonly GoValue[]): string {
  let next = 0;
  const text = pattern.replace(
    /%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?(.?)/gsu,
    (_, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === "%") return "%";
      if (verb === "") return "%!(NOVERB)";
      const value = values[next++];
      if (value === undefined) return `%!${verb}(MISSING)`;
      const directive: Directive = {
        flags,
        width: Math.min(widthMax, Number(width)),
        precision: precision === undefined ? undefined : Math.min(widthMax, Number(precision)),
        verb,
      };
      return format(directive, value);
    },
  );
  if (next >= values.length) return text;
  const extra = values
    .slice(next)
    .map((value) => (value === null ? "<nil>" : `${typeNameOf(value)}=${printValue(value)}`));
  return `${text}%!(EXTRA ${extra.join(", ")})`;
}
