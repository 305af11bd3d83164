// The changes that a mutant may make to a piece of TypeScript: small ones, of the kind that a slip of the hand makes, found in the
// syntax tree. Which of them are tried is draw.mjs; how they get into the code is schemata.mjs.
import { parseAst } from "rolldown/parseAst";

const SWAPPED = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "*",
  "&": "|",
  "|": "&",
  "<<": ">>",
  ">>>": "<<",
  ">>": "<<",
  "&&": "||",
  "||": "&&",
  "+=": "-=",
  "-=": "+=",
  "|=": "&=",
  "&=": "|=",
};
const RELATIONS = new Set(["<", "<=", ">", ">=", "===", "!==", "in", "instanceof"]);
const ROUNDINGS = { floor: "ceil", ceil: "floor", min: "max", max: "min", trunc: "ceil" };

/** Types around an expression; every other node of TypeScript's own is no behaviour. */
const AROUND = new Set(["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression", "TSInstantiationExpression"]);
/** Calls that say how a class is kept or shown: what is in them is names, no behaviour. */
const NAMING = /^(?:keep[A-Z]\w*|outline|hideFields)$/;

function isNaming(node) {
  return node.type === "CallExpression" && node.callee.type === "Identifier" && NAMING.test(node.callee.name);
}

function isText(node) {
  if (node.type === "Literal") return typeof node.value === "string";
  if (node.type === "TemplateLiteral") return true;
  return node.type === "BinaryExpression" && node.operator === "+" && (isText(node.left) || isText(node.right));
}

function isTruth(node) {
  if (node.type === "ParenthesizedExpression" || AROUND.has(node.type)) return isTruth(node.expression);
  if (node.type === "Literal") return typeof node.value === "boolean";
  if (node.type === "LogicalExpression") return node.operator !== "??" && isTruth(node.right);
  return (
    (node.type === "UnaryExpression" && node.operator === "!") ||
    (node.type === "BinaryExpression" && RELATIONS.has(node.operator))
  );
}

/** The parts of a node that are nodes, in their order. */
export function childrenOf(node) {
  const found = [];
  for (const value of Object.values(node)) {
    for (const one of Array.isArray(value) ? value : [value]) if (typeof one?.type === "string") found.push(one);
  }
  return found;
}

export function isOfTypes(node) {
  return node.type.startsWith("TS") && !AROUND.has(node.type);
}

export function parse(source) {
  return parseAst(source, { lang: "ts", range: false });
}

/** The nodes of a file that may hold mutants, each with the statement (or field) that it is of, and whether it is a condition. */
function* behaviours(node, unit, parent, role) {
  if (isOfTypes(node) || node.type === "ImportDeclaration" || node.type === "ThrowStatement" || isNaming(node)) return;
  if (node.type === "NewExpression" && /Error$/.test(node.callee.name ?? "")) return;
  const own = /Statement$|^VariableDeclaration$|^PropertyDefinition$/.test(node.type) ? node : unit;
  yield { node, unit: own, parent, role };
  for (const [name, value] of Object.entries(node)) {
    if (name === "key" && !node.computed) continue;
    for (const one of Array.isArray(value) ? value : [value])
      if (typeof one?.type === "string") yield* behaviours(one, own, node, name);
  }
}

function text(source, node) {
  return source.slice(node.start, node.end);
}

/** A node with another operator; its sides may stand in brackets, which are of neither. */
function withOperator(source, node, operator) {
  const between = source.slice(node.left.end, node.right.start).replace(node.operator, operator);
  return source.slice(node.start, node.left.end) + between + source.slice(node.right.start, node.end);
}

function ofCondition(source, node, parent) {
  const negated = ["negation", `!(${text(source, node)})`];
  if (parent.type === "IfStatement" || parent.type === "ConditionalExpression")
    return [negated, ["never", "false"], ["always", "true"]];
  return [negated, ["never", "false"]];
}

function ofBinary(source, node) {
  const found = [];
  const swapped = SWAPPED[node.operator];
  if (swapped !== undefined && !(node.operator === "+" && isText(node)))
    found.push([node.type === "LogicalExpression" ? "logic" : "operator", withOperator(source, node, swapped)]);
  if (["|", "&", "||", "&&"].includes(node.operator)) found.push(["left only", text(source, node.left)]);
  if (["||", "&&"].includes(node.operator)) found.push(["right only", text(source, node.right)]);
  return found;
}

function ofLiteral(node) {
  if (typeof node.value === "boolean") return [["truth", String(!node.value)]];
  if (typeof node.value !== "number") return [];
  return [
    ["constant", `${node.value + 1}`],
    ["constant", `(${node.value - 1})`],
  ];
}

function ofReturn(source, node) {
  if (node.argument === null) return [["removal", null]];
  const value = text(source, node.argument);
  if (isTruth(node.argument)) return [["result", `!(${value})`]];
  return node.argument.type === "Literal" || node.argument.type === "Identifier" ? [] : [["result", "undefined"]];
}

function isRemovable({ expression }) {
  if (expression.type === "CallExpression") return expression.callee.type !== "Super";
  return ["AssignmentExpression", "UpdateExpression", "AwaitExpression", "ChainExpression"].includes(expression.type);
}

/** [operator's name, new text] of each mutant of one node; null in the place of a text removes the statement. */
function changesOf(source, node) {
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
      return ofBinary(source, node);
    case "AssignmentExpression":
      return SWAPPED[node.operator] === undefined
        ? []
        : [["operator", withOperator(source, node, SWAPPED[node.operator])]];
    case "UpdateExpression":
      return [["step", text(source, node).replace(node.operator, node.operator === "++" ? "--" : "++")]];
    case "UnaryExpression":
      return ["!", "-", "~"].includes(node.operator) ? [["sign", `(${text(source, node.argument)})`]] : [];
    case "CallExpression": {
      const { callee } = node;
      const other = callee.object?.name === "Math" ? ROUNDINGS[callee.property.name] : undefined;
      return other === undefined
        ? []
        : [["rounding", text(source, node).replace(`Math.${callee.property.name}`, `Math.${other}`)]];
    }
    case "Literal":
      return ofLiteral(node);
    case "ExpressionStatement":
      return isRemovable(node) ? [["removal", null]] : [];
    case "ContinueStatement":
      return [["removal", null]];
    default:
      return [];
  }
}

/**
 * All mutants of a file: { name, start, end, text, unit }. `unit` is where the statement starts that the mutant is of; `text` stands
 * in the place of [start, end), an expression; null: this statement is left out.
 */
export function mutantsOf(source) {
  const found = [];
  const program = parse(source);
  for (const { node, unit, parent, role } of behaviours(program, program, program, "body")) {
    const add = (place, changes) => {
      for (const [name, changed] of changes)
        found.push({ name, start: place.start, end: place.end, text: changed, unit: unit.start });
    };
    if (role === "test") add(node, ofCondition(source, node, parent));
    if (node.type === "ReturnStatement") add(node.argument ?? node, ofReturn(source, node));
    add(node, changesOf(source, node));
  }
  return found;
}
