// What the plugin checks say again and again, in words that make a broken promise readable.
import { equal, fail } from "node:assert/strict";
import { found, type PluginBench, type PluginObject } from "./plugin-bench.ts";

/** Creates the bench's volume with this label and returns its name. */
export async function create(bench: PluginBench, label: string): Promise<string> {
  const name = bench.name(label);
  await bench.succeed("Create", { Name: name, Opts: bench.options });
  return name;
}

/** What `Get` tells of a volume that must be there. */
export async function mustTell(bench: PluginBench, name: string): Promise<PluginObject> {
  return (await found(bench, name)) ?? fail(`Get denies ${name}, which is there`);
}

/** Asserts that neither `Get` nor `List` has the volume. */
export async function mustDeny(bench: PluginBench, name: string): Promise<void> {
  if ((await found(bench, name)) !== undefined) fail(`Get tells of ${name}, which is not there`);
  const { Volumes: volumes } = await bench.succeed("List");
  const list: readonly unknown[] = Array.isArray(volumes) ? volumes : [];
  const names = list.map((each) => (isObject(each) ? each["Name"] : undefined));
  if (names.includes(name)) fail(`List has ${name}, which is not there`);
}

/** Mounts for the first ID unless another is given. */
export async function mount(
  bench: PluginBench,
  name: string,
  id: string = bench.ids.first,
): Promise<string> {
  const { Mountpoint: path } = await bench.succeed("Mount", { Name: name, ID: id });
  if (typeof path !== "string") return fail(`Mount answers the path ${JSON.stringify(path)}`);
  return path;
}

/** Unmounts for the first ID unless another is given. */
export async function unmount(
  bench: PluginBench,
  name: string,
  id: string = bench.ids.first,
): Promise<void> {
  await bench.succeed("Unmount", { Name: name, ID: id });
}

/** Whether the bench can look into what is mounted. */
export function seesData({ files }: PluginBench): boolean {
  return files !== undefined;
}

/** Writes one file of the volume, mounted for as long as that takes. */
export async function writeInto(bench: PluginBench, name: string, text: string): Promise<void> {
  const path = await mount(bench, name);
  await bench.files?.write(`${path}/data`, text);
  await unmount(bench, name);
}

/** Asserts what that file holds; undefined means that it is not there. */
export async function mustHold(
  bench: PluginBench,
  name: string,
  text: string | undefined,
): Promise<void> {
  const path = await mount(bench, name);
  const isThere = (await bench.files?.exists(`${path}/data`)) === true;
  const actual = isThere ? await bench.files?.read(`${path}/data`) : undefined;
  await unmount(bench, name);
  equal(actual, text, `what volume ${name} holds`);
}

function isObject(value: unknown): value is PluginObject {
  return typeof value === "object" && value !== null;
}
