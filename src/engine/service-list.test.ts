// Which services name a volume: by its name, by an alias, by what Swarm fills in.
import { expect, test } from "bun:test";
import { parseVolumeName } from "../core/names.ts";
import { nobodysServices, ServiceList } from "./service-list.ts";

const list = new ServiceList({
  services: [
    { id: "1", name: "web", volumes: ["wiki", "blog"] },
    { id: "2", name: "db", volumes: ["wiki", "data-*", "data-*-*", "*-log"] },
    { id: "3", name: "any", volumes: ["a*aa*a"] },
    { id: "4", name: "odd", volumes: ["__proto__", "x.z"] },
  ],
  unreachable: [],
  aliases: [
    { alias: parseVolumeName("blog"), volume: parseVolumeName("news"), sinceMs: 0 },
    { alias: parseVolumeName("data-9"), volume: parseVolumeName("news"), sinceMs: 0 },
  ],
});

test("each service once, by plain names, patterns and aliases", () => {
  const cases: Readonly<Record<string, string>> = {
    wiki: "web db",
    news: "web db",
    "data-1": "db",
    "data-": "db",
    "data-1-2": "db",
    data: "",
    "my-data-1": "",
    "app-log": "db",
    log: "",
    aaaa: "any",
    aaa: "",
    abaaba: "any",
    "x.z": "odd",
    xyz: "",
    constructor: "",
  };
  for (const [volume, services] of Object.entries(cases)) {
    expect([volume, list.naming(volume).join(" ")]).toEqual([volume, services]);
  }
  expect(nobodysServices.naming("wiki")).toEqual([]);
});
