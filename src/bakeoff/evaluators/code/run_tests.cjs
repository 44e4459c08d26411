"use strict";
// Run a solution and its tests as one program, inside the sandbox. The nonce is printed at the very end, and only when the
// tests came to theirs: exit codes and prints of the solution prove nothing.
const fs = require("fs");

const nonce = fs.readFileSync(0, "utf8").trim();
const solution = fs.readFileSync("/solution.js", "utf8").replace(/^#!.*/, "");
const tests = fs.readFileSync("/tests.js", "utf8");
// A name of its own for each run, so that a solution that returns early, or exits, does not pass by accident.
const mark = "end" + nonce;
let started = false;
let finished = false;

const module_ = { exports: {} };
Object.assign(globalThis, { require, module: module_, exports: module_.exports, assert: require("assert") });
globalThis[mark] = (what) => { what === "start" ? (started = true) : (finished = true); };

process.on("exit", (code) => {
  if (finished && code === 0) fs.writeSync(1, "\n" + nonce + "\n");
});

// Tests stand in a block of their own, so that both may say `const assert = require("assert")`.
const nested = `${solution}\n;{\n${tests}\n;globalThis.${mark}("end");\n}`;
const flat = `${solution}\n;\n${tests}\n;globalThis.${mark}("end");`;

async function asScript() {
  const AsyncFunction = Object.getPrototypeOf(async function () {}).constructor;
  const run = new AsyncFunction(nested);
  started = true;
  await run();
}

async function asModule(name, source) {
  fs.writeFileSync(name, `globalThis.${mark}("start");${source}`);
  await import(name);
}

async function main() {
  try {
    return await asScript();
  } catch (error) {
    // `import` and `export` make a module; anything else that does not parse is an error as it stands
    if (started || !/\b(import|export)\b/.test(error.message)) throw error;
  }
  try {
    return await asModule("/tmp/nested.mjs", nested);
  } catch (error) {
    if (started || !(error instanceof SyntaxError)) throw error; // tests that import cannot stand in a block
  }
  return asModule("/tmp/flat.mjs", flat);
}

main().catch((error) => {
  console.error(String((error && error.stack) || error));
  if (error instanceof Error) console.error(`${error.name}: ${error.message.replace(/\s+/g, " ").trim()}`);
  process.exit(1);
});
