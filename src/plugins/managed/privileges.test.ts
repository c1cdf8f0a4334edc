// What a plugin asks for, in Docker's order, and what counts as granting it.
import { expect, test } from "bun:test";
import { recordedConfig, recordedPrivileges } from "../../../test/support/recorded-plugin.ts";
import { pluginConfigOf } from "./config.ts";
import { checkGranted, privilegesOf } from "./privileges.ts";

test("the recorded plugin asks for what Docker listed", () => {
  expect(privilegesOf(pluginConfigOf(recordedConfig))).toEqual(recordedPrivileges);
});

test("everything that can be asked for, in Docker's order", () => {
  const config = pluginConfigOf({
    network: { type: "none" },
    ipchost: true,
    pidhost: true,
    mounts: [{ source: "/a" }, { source: null }, { source: "" }],
    linux: {
      allowAllDevices: true,
      capabilities: ["B", "A"],
      devices: [{ path: "/dev/x" }, { path: null }, { path: "/dev/y" }],
    },
  });
  expect(privilegesOf(config).map(({ name, value }) => [name, ...value])).toEqual([
    ["network", "none"],
    ["host ipc namespace", "true"],
    ["host pid namespace", "true"],
    ["mount", "/a"],
    ["mount", ""],
    ["device", "/dev/x"],
    ["device", "/dev/y"],
    ["allow-all-devices", "true"],
    ["capabilities", "B", "A"],
  ]);
});

for (const type of ["", "null", "bridge"]) {
  test(`the network ${JSON.stringify(type)} is no privilege`, () => {
    expect(privilegesOf(pluginConfigOf({ network: { type } }))).toEqual([]);
  });
}

const asked = recordedPrivileges;

test("order, the order of values and descriptions do not count", () => {
  const two = [{ name: "capabilities", description: "", value: ["A", "B"] }];
  checkGranted(asked, asked.map((each) => ({ ...each, description: "x" })).reverse());
  checkGranted(two, [{ name: "capabilities", description: "", value: ["B", "A"] }]);
  checkGranted([], []);
});

const [network, mount] = asked;
const wrong: Readonly<Record<string, typeof asked>> = {
  nothing: [],
  less: asked.slice(1),
  more: [...asked, { name: "mount", description: "", value: ["/etc"] }],
  "one twice": [...asked, ...(mount === undefined ? [] : [mount])],
  "another value": [{ name: "network", description: "", value: ["none"] }, ...asked.slice(1)],
  // Docker does not compare the first one of the sorted lists.
  "another device": asked.map((each) =>
    each.name === "device" ? { ...each, value: ["/dev/kmsg"] } : each,
  ),
  "two values joined": asked.map((each) =>
    each === network ? { ...each, value: ["ho", "st"] } : each,
  ),
};

for (const [what, granted] of Object.entries(wrong)) {
  test(`refused: ${what}`, () => {
    expect(() => checkGranted(asked, granted)).toThrow(
      expect.objectContaining({ code: "plugin.privileges", message: "incorrect privileges" }),
    );
  });
}
