// Tests the reader of Bun's test reports.
import { expect, test } from "bun:test";
import { parseJunit } from "./junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" failures="1" skipped="2">
  <testsuite name="a.test.ts" file="a.test.ts">
    <testcase name="one &lt;&quot;x&quot;&gt; &#38; more" classname="" time="0" file="a.test.ts" />
    <testcase name="two" classname="outer" time="0">
      <failure type="AssertionError" message="&lt;skipped /&gt;">a &gt; b</failure>
    </testcase>
    <testcase name="three [skipped: no program dockerd]" classname="" time="0">
      <skipped />
    </testcase>
    <testcase name="four" classname="" time="0">
      <skipped message="later" />
    </testcase>
  </testsuite>
</testsuites>`;

test("every test of a report has its name and outcome", () => {
  expect(parseJunit(report)).toEqual([
    { name: 'one <"x"> & more', outcome: "passed" },
    { name: "outer > two", outcome: "failed" },
    { name: "three [skipped: no program dockerd]", outcome: "skipped" },
    { name: "four", outcome: "skipped" },
  ]);
});

test("text that is no report has no outcomes", () => {
  expect(parseJunit("")).toEqual([]);
});
