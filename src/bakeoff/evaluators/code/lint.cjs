"use strict";
// Look at JavaScript with ESLint without running it. Arguments: the folder of packages. stdin: {code, select, security}.
// Nothing is read from the working folder, and comments of the code switch nothing off.
const { createRequire } = require("module");
const path = require("path");

const load = createRequire(path.join(process.argv[2], "bakeoff.js"));
const { code, select, security } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { Linter } = load("eslint");
const { builtinRules } = load("eslint/use-at-your-own-risk");

function names(rules) {
  return Object.fromEntries(Array.from(rules, (name) => [name, "error"]));
}

function recommended() {
  const found = [...builtinRules].filter(([, rule]) => rule.meta.docs && rule.meta.docs.recommended);
  return names(found.map(([name]) => name));
}

// Calling something of one's own `name` or `status` redeclares nothing.
const MILDER = { "no-redeclare": ["error", { builtinGlobals: false }] };

function styleRules() {
  const rules = select.includes("recommended") ? { ...recommended(), ...MILDER } : {};
  const named = select.filter((name) => name !== "recommended");
  const unknown = named.filter((name) => !builtinRules.has(name));
  if (unknown.length) throw new Error(`eslint has no rule ${unknown.map((name) => JSON.stringify(name)).join(", ")}`);
  return { ...rules, ...names(named) };
}

// What bandit tells of Python, and no rule of the packages tells of JavaScript.
const CARELESS = ["error",
  { selector: 'Property[key.name="rejectUnauthorized"][value.value=false]', message: "certificates are not checked" },
  { selector: 'AssignmentExpression[left.property.name="NODE_TLS_REJECT_UNAUTHORIZED"]', message: "certificates are not checked" },
  { selector: 'CallExpression[callee.property.name="createHash"][arguments.0.value=/^(md4|md5|sha1)$/i]', message: "a weak hash" },
];

function securityConfig() {
  const plugins = { security: load("eslint-plugin-security"), "no-unsanitized": load("eslint-plugin-no-unsanitized") };
  const rules = { ...names(["no-eval", "no-implied-eval", "no-new-func", "no-script-url"]), "no-restricted-syntax": CARELESS };
  for (const [prefix, plugin] of Object.entries(plugins))
    Object.assign(rules, names(Object.keys(plugin.rules).map((rule) => `${prefix}/${rule}`)));
  return { plugins, rules };
}

const known = load("globals");
const globals = { ...known.builtin, ...known.node, ...known.browser, ...known.commonjs };
const chosen = security ? securityConfig() : { rules: styleRules() };

function verify(sourceType) {
  const linter = new Linter({ configType: "flat" });
  const languageOptions = { ecmaVersion: "latest", sourceType, globals };
  const config = { ...chosen, languageOptions, linterOptions: { reportUnusedDisableDirectives: "off" } };
  const messages = linter.verify(code, [config], { filename: "solution.js", allowInlineConfig: false });
  return { messages, tree: linter.getSourceCode() };
}

// What stands at the top is what the answer offers; packages that it takes in and leaves lying are not.
function isTakenIn(def) {
  const call = def.type === "Variable" && def.node.init;
  return def.type === "ImportBinding" || Boolean(call && call.type === "CallExpression" && call.callee.name === "require");
}

function offered(tree) {
  const top = tree.scopeManager.globalScope.childScopes[0];
  const own = top ? top.variables.filter((one) => one.defs.length && !one.defs.some(isTakenIn)) : [];
  const places = own.flatMap((one) => [...one.identifiers, ...one.references.map((reference) => reference.identifier)]);
  return new Set(places.map((place) => `${place.loc.start.line}:${place.loc.start.column + 1}`));
}

let { messages, tree } = verify("commonjs");
if (messages.some((one) => one.fatal)) {
  const other = verify("module");
  if (!other.messages.some((one) => one.fatal) || /\b(import|export)\b/.test(messages[0].message)) ({ messages, tree } = other);
}
if (tree && !messages.some((one) => one.fatal)) {
  const own = offered(tree);
  messages = messages.filter((one) => one.ruleId !== "no-unused-vars" || !own.has(`${one.line}:${one.column}`));
}
const fatal = messages.find((one) => one.fatal);
process.stdout.write(JSON.stringify({
  version: Linter.version,
  fatal: fatal ? { line: fatal.line, message: fatal.message } : null,
  messages: messages.map((one) => ({ rule: one.ruleId || "", line: one.line, message: one.message })),
}));
