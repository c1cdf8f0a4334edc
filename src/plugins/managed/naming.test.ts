// Which plugin a text means.
import { expect, test } from "bun:test";
import { findPlugin, newPluginName } from "./naming.ts";

const one = { id: `ab${"1".repeat(62)}`, name: "vieux/sshfs:latest" };
const two = { id: `ab${"2".repeat(62)}`, name: "127.0.0.1:5000/vp:v1" };
const three = { id: `c${"3".repeat(63)}`, name: "abc:latest" };
const all = [one, two, three];

const meant: readonly (readonly [string, typeof one])[] = [
  [one.id, one],
  ["vieux/sshfs", one],
  ["vieux/sshfs:latest", one],
  ["docker.io/vieux/sshfs:latest", one],
  ["index.docker.io/vieux/sshfs", one],
  ["127.0.0.1:5000/vp:v1", two],
  ["ab1", one],
  ["ab2222", two],
  ["c", three],
  // A name goes before the beginning of an id.
  ["abc", three],
  ["docker.io/library/abc", three],
];

for (const [text, plugin] of meant) {
  test(`${text.slice(0, 30)} is ${plugin.name}`, () => {
    expect(findPlugin(all, text)).toBe(plugin);
  });
}

for (const text of ["", "nosuch", "vieux/sshfs:next", "127.0.0.1:5000/vp", "AB1", "d"]) {
  test(`${JSON.stringify(text)} is none`, () => {
    expect(() => findPlugin(all, text)).toThrow(
      expect.objectContaining({ code: "plugin.not_found", message: `plugin "${text}" not found` }),
    );
  });
}

test("a reference with a digest is never found", () => {
  const text = `vieux/sshfs@sha256:${"0".repeat(64)}`;
  const error = expect.objectContaining({ code: "plugin.not_found" });
  expect(() => findPlugin(all, text)).toThrow(error);
});

test("the beginning of two ids is neither", () => {
  expect(() => findPlugin(all, "ab")).toThrow(
    expect.objectContaining({
      code: "plugin.ambiguous",
      message: 'multiple plugins found for "ab"',
    }),
  );
});

test("a new name is canonical and has no digest", () => {
  expect(newPluginName("docker.io/library/x")).toBe("x:latest");
  expect(newPluginName("h:5000/x:v1")).toBe("h:5000/x:v1");
  const digest = `sha256:${"0".repeat(64)}`;
  expect(() => newPluginName(`x@${digest}`)).toThrow("cannot use digest in plugin tag");
  expect(() => newPluginName("b@d")).toThrow("invalid reference format");
  expect(() => newPluginName(`h/${"a/".repeat(100)}a:${"t".repeat(120)}`)).toThrow(
    expect.objectContaining({ code: "plugin.reference_invalid" }),
  );
});
