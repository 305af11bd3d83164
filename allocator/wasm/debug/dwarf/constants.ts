// Numbers of the DWARF standard that the readers of this folder use; sections and pages are those of DWARF 5 (2017).
// Only what is read is named: types, variables and expressions are passed over.

/** Tags of debugging information entries (7.5.3, table 7.3). */
export const TAG = {
  compileUnit: 0x11,
  inlinedSubroutine: 0x1d,
  subprogram: 0x2e,
  partialUnit: 0x3c,
  skeletonUnit: 0x4a,
} as const;

/** Kinds of units (7.5.1, table 7.2). */
export const UNIT_TYPE = {
  compile: 0x01,
  type: 0x02,
  partial: 0x03,
  skeleton: 0x04,
  splitCompile: 0x05,
  splitType: 0x06,
} as const;

/** Attributes (7.5.4, table 7.5); `mipsLinkageName` is what producers of DWARF 3 wrote. */
export const ATTRIBUTE = {
  name: 0x03,
  statementList: 0x10,
  lowPc: 0x11,
  highPc: 0x12,
  compilationDirectory: 0x1b,
  abstractOrigin: 0x31,
  specification: 0x47,
  ranges: 0x55,
  callColumn: 0x57,
  callFile: 0x58,
  callLine: 0x59,
  linkageName: 0x6e,
  stringOffsetsBase: 0x72,
  addressBase: 0x73,
  rangeListsBase: 0x74,
  mipsLinkageName: 0x2007,
} as const;

/** Forms of attributes (7.5.6, table 7.6), and GNU's forerunners of the indexed ones. */
export const FORM = {
  addr: 0x01,
  block2: 0x03,
  block4: 0x04,
  data2: 0x05,
  data4: 0x06,
  data8: 0x07,
  string: 0x08,
  block: 0x09,
  block1: 0x0a,
  data1: 0x0b,
  flag: 0x0c,
  sdata: 0x0d,
  strp: 0x0e,
  udata: 0x0f,
  refAddr: 0x10,
  ref1: 0x11,
  ref2: 0x12,
  ref4: 0x13,
  ref8: 0x14,
  refUdata: 0x15,
  indirect: 0x16,
  secOffset: 0x17,
  exprloc: 0x18,
  flagPresent: 0x19,
  strx: 0x1a,
  addrx: 0x1b,
  refSup4: 0x1c,
  strpSup: 0x1d,
  data16: 0x1e,
  lineStrp: 0x1f,
  refSig8: 0x20,
  implicitConst: 0x21,
  loclistx: 0x22,
  rnglistx: 0x23,
  refSup8: 0x24,
  strx1: 0x25,
  strx2: 0x26,
  strx3: 0x27,
  strx4: 0x28,
  addrx1: 0x29,
  addrx2: 0x2a,
  addrx3: 0x2b,
  addrx4: 0x2c,
  gnuAddrIndex: 0x1f01,
  gnuStrIndex: 0x1f02,
  gnuRefAlt: 0x1f20,
  gnuStrpAlt: 0x1f21,
} as const;

/** Entries of a range list (7.25, table 7.30). */
export const RANGE_LIST = {
  endOfList: 0,
  baseAddressx: 1,
  startxEndx: 2,
  startxLength: 3,
  offsetPair: 4,
  baseAddress: 5,
  startEnd: 6,
  startLength: 7,
} as const;

/** Standard opcodes of line programs (7.22, table 7.25). */
export const LINE_OPCODE = {
  extended: 0,
  copy: 1,
  advancePc: 2,
  advanceLine: 3,
  setFile: 4,
  setColumn: 5,
  negateStatement: 6,
  setBasicBlock: 7,
  constAddPc: 8,
  fixedAdvancePc: 9,
  setPrologueEnd: 10,
  setEpilogueBegin: 11,
  setIsa: 12,
} as const;

/** Extended opcodes of line programs (7.22, table 7.26); `defineFile` is DWARF 4's. */
export const EXTENDED_OPCODE = { endSequence: 1, setAddress: 2, defineFile: 3 } as const;

/** What a line table of DWARF 5 says of a directory or file (7.22, table 7.27). */
export const LINE_CONTENT = { path: 1, directoryIndex: 2 } as const;
