// Operators of the Itanium C++ ABI (5.1.3.2, "Operator Encodings") with their spelling in C++ and number of operands.

export interface Operator {
  readonly text: string;
  /** Operands of the operator in an expression; 0 for those that expressions write in a way of their own. */
  readonly operands: 0 | 1 | 2 | 3;
}

const BINARY: Readonly<Record<string, string>> = {
  aa: "&&",
  aN: "&=",
  an: "&",
  aS: "=",
  cm: ",",
  dV: "/=",
  dv: "/",
  eO: "^=",
  eo: "^",
  eq: "==",
  ge: ">=",
  gt: ">",
  le: "<=",
  lS: "<<=",
  ls: "<<",
  lt: "<",
  mI: "-=",
  mi: "-",
  mL: "*=",
  ml: "*",
  ne: "!=",
  oo: "||",
  oR: "|=",
  or: "|",
  pL: "+=",
  pl: "+",
  pm: "->*",
  rM: "%=",
  rm: "%",
  rS: ">>=",
  rs: ">>",
  ss: "<=>",
};

const UNARY: Readonly<Record<string, string>> = { ad: "&", co: "~", de: "*", ng: "-", nt: "!", ps: "+" };

const SPECIAL: Readonly<Record<string, string>> = {
  aw: " co_await",
  cl: "()",
  da: " delete[]",
  dl: " delete",
  ix: "[]",
  mm: "--",
  na: " new[]",
  nw: " new",
  pp: "++",
  pt: "->",
  qu: "?",
};

export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ...Object.entries(BINARY).map(([code, text]): [string, Operator] => [code, { text, operands: 2 }]),
  ...Object.entries(UNARY).map(([code, text]): [string, Operator] => [code, { text, operands: 1 }]),
  ...Object.entries(SPECIAL).map(([code, text]): [string, Operator] => [
    code,
    { text, operands: code === "qu" ? 3 : 0 },
  ]),
]);
