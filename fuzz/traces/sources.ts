// A short trace of each format, as its own program would write it, for traces.ts to damage. The formats' tests are in test/bench/lab/traces.

/** Text of the line formats, by name. */
export const traces: Readonly<Record<string, string>> = {
  text: "# refheap trace 1\na 1 100\na 2 5000\nr 1 200\nf 2\na 3 64 16\nf 1\nf 3\n",
  mtrace:
    "= Start\n@ ./a.out:[0x401136] + 0x55d0 0x64\n@ ./a.out:[0x401150] + 0x5640 0x1388\n@ ./a.out:[0x401160] < 0x55d0\n@ ./a.out:[0x401160] > 0x57a0 0xc8\n@ ./a.out:[0x401170] - 0x5640\n= End\n",
  android:
    "1001: malloc 0x7000 100\n1001: calloc 0x7100 4 25\n1002: realloc 0x7200 0x7000 300\n1002: memalign 0x7400 16 50\n1001: free 0x7200\n1001: thread_done 0x0\n",
  rep: "20000000\n3\n6\n1\na 0 512\na 1 128\nr 0 640\na 2 2040\nf 1\nf 0\n",
  "trace-malloc":
    "--1-- malloc(100) = 0x4A59040\n--1-- calloc(0x4A590F0, 4,25)= 0x4A590F0\n--1-- realloc(0x4A59040,200) = 0x4A59190\n--1-- free(0x4A590F0)\n",
  lackey: "I  04016b9c,3\n L 1ffeffe7e8,8\n S 1ffeffe7e0,8\n M 0421c7cc,4\n",
  heaptrack:
    "v 10400 3\nx /usr/bin/a\nX ./a.out\nI 1000 1000\ns 5 a.out\ni 401136 1 1\nt 1 0\na 64 1\na c8 1\n+ 0\n+ 1\nc 5\n- 0\nR 400\n- 1\n",
};
