// The option tables of docs/drivers/*.md, between their markers, from the drivers' own rules.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { driverManuals } from "../../src/drivers/all.ts";
import { sourceRoot } from "../source-root.ts";

const start = "<!-- options: written by npm run generate -->";
const end = "<!-- end of options -->";

/** The page of a driver as it must be: what is around the markers stays as it is. */
export function renderDriverPage(driver: string, path: string): string {
  const page = readFileSync(join(sourceRoot, path), "utf8");
  const [before, rest] = cutAt(page, start, path);
  const [, after] = cutAt(rest, end, path);
  return `${before}${start}\n${optionTable(driver)}${end}${after}`;
}

function cutAt(text: string, marker: string, path: string): readonly [string, string] {
  const place = text.indexOf(marker);
  if (place < 0) throw new Error(`${path} has no line ${marker}`);
  return [text.slice(0, place), text.slice(place + marker.length)];
}

function optionTable(driver: string): string {
  const manual = driverManuals().find((each) => each.driver === driver);
  if (manual === undefined) throw new Error(`there is no driver ${driver}`);
  const rows = manual.options.map((option) => {
    const { name, value, help, isRequired, defaultValue, rule } = option;
    const standard = isRequired ? "required" : defaultValue === null ? "" : `\`${defaultValue}\``;
    const cells = [`\`${name}=${value}\``, standard, rule ?? "", help];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  });
  return `| option | default | its value | |\n|---|---|---|---|\n${rows.join("")}`;
}
