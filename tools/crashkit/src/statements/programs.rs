//! Small jobflows that together hold every kind of statement of docs/reference/language.md.
//!
//! `STEP(x.n)` is a shell command that notes step `n` of branch `x` outside the server, and says it;
//! `URL(x.n)` an address that notes it when it is asked for. Each step is noted once in a run that
//! nobody disturbs, so a step that is noted twice was run twice.

/// A jobflow and what it finds around it.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Kind, name and content of its neighbours.
    pub(crate) around: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) source: &'static str,
    /// What its console may show instead when it was killed, where the reference says so. What a
    /// terminal says is beside the point: of such a console only what follows `= ` counts.
    pub(crate) or: &'static [&'static str],
}

const fn plain(name: &'static str, source: &'static str) -> Program {
    Program { name, around: &[], source, or: &[] }
}

const fn among(
    name: &'static str,
    around: &'static [(&'static str, &'static str, &'static str)],
    source: &'static str,
) -> Program {
    Program { name, around, source, or: &[] }
}

const SUB: (&str, &str, &str) =
    ("jobflow", "sub", "|n|\nsleep(0.05) -> ['STEP(sub.$n)'] -> return(n * 2)");
const SINGLE: (&str, &str, &str) = ("single", "single", "|b|\n['STEP($b.in)'] -> sleep(0.1)");
const TWO: &[(&str, &str, &str)] = &[("channel", "ch", "first message"), ("channel", "none", "")];

pub(crate) const PROGRAMS: &[Program] = &[
    plain("assign", "[x = 1] -> [y = x + 1] -> ['STEP(a.1)'] -> print(x, y) -> return(y)"),
    among(
        "update",
        &[("text", "text", "")],
        "['1' >> ./text.text] -> ['STEP(a.1)'] -> [./text.text + '2' >> ./text.text] -> sleep(0.1) \
         -> [./text.text + '3' >> ./text.text] -> ['STEP(a.2)'] -> print(./text.text)",
    ),
    among(
        "method",
        &[("text", "text", "")],
        "[./text.parent_object.add: 'once', /system/types/Text, {text = 'x'}] -> ['STEP(a.1)'] \
         -> [./once.rename: 'twice'] -> sleep(0.05) -> [./twice.delete] -> ['STEP(a.2)'] \
         -> [./text.update: text='there'] -> print(./text.text)",
    ),
    plain(
        "command",
        "print('a') -> ['STEP(a.1)'] -> print($RESULT) -> ['STEP(a.2); sleep 0.1; echo $a' << 'in'] \
         -> print($RESULT)",
    ),
    plain(
        "streaming",
        "['STEP(a.1); sleep 0.4; echo later; sleep 0.4; echo last'] -> ['STEP(a.2)'] -> print('end')",
    ),
    plain(
        "control-variables",
        "[__timeout__ = 60, __dir__ = '/'] -> ['STEP(a.1); pwd'] -> print($RESULT) \
         -> [__timeout__ = 0.1] -> ['sleep 600'] ->> print($STATUS, $ERROR) -> [__timeout__ = 60] -> ['STEP(a.2)']",
    ),
    among(
        "script",
        &[("script", "sh", "#!/bin/sh\nSTEP(a.1)\necho script $1\n")],
        "[./sh: 'x'] -> print($RESULT) -> ['STEP(a.2)']",
    ),
    plain(
        "failing",
        "['STEP(a.1); exit 3'] => print($STATUS) -> ['STEP(a.2); exit 4'] -> print('never')",
    ),
    plain(
        "connectors",
        "['STEP(a.1); exit 1'] =>> print('b') ->> ['STEP(a.2)'] => print('c') -> ['STEP(a.3); exit 7'] \
         => print($STATUS)",
    ),
    plain("simple", "{ x = 'v' | ['STEP(a.1)'] -> print(x) } -> sleep(0.05) -> ['STEP(a.2)']"),
    among(
        "call",
        &[SUB],
        "[./sub: 3] -> print($RESULT) -> ['STEP(a.1)'] -> [./sub: n=4] -> print($RESULT)",
    ),
    among("tail-call", &[SUB], "print('x') -> ['STEP(a.1)'] -> [./sub: 7]"),
    plain(
        "self",
        "|n = 2|\nprint(n) -> ['STEP(a.$n)'] -> sleep(0.05) -> { if n > 0 | [n = n - 1] -> self() }",
    ),
    plain(
        "if",
        "{ for i in 3 | print(i) -> { if i == 1 | then: ['STEP(a.$i)'] elif i == 2: ['STEP(b.$i)'] \
         else: sleep(0.05) } }",
    ),
    plain(
        "case",
        "{ case 'ab' | 'x': print('x') 'a*': ['STEP(a.1)'] -> print('y') } \
         -> { case 7 | 8: print('x') else: ['STEP(a.2)'] }",
    ),
    plain(
        "for",
        "{ for x in ['p', 'q', 'r'] | ['STEP(a.$x)'] -> { if x == 'q' | continue } -> print(x) }",
    ),
    plain(
        "while",
        "[n = 0] -> { while n < 3 | [n = n + 1] -> ['STEP(a.$n)'] -> { if n == 2 | break } \
         -> sleep(0.05) } -> print(n)",
    ),
    among(
        "try",
        &[("jobflow", "bad", "['STEP(a.2)'] -> abort('gone')")],
        "{ try | ['STEP(a.1)'] -> [./bad] -> print('never') } => print($STATUS, $ERROR) -> ['STEP(a.3)']",
    ),
    plain("sleep", "sleep(0.2) -> print('up') -> ['STEP(a.1)'] -> sleep(0.1) -> print('again')"),
    among(
        "channel",
        TWO,
        "<./ch> -> print($RESULT) -> ['STEP(a.1)'] -> <./ch ?? 'm*' : timeout=30> => print($STATUS, $RESULT) \
         -> <./none: timeout=0.1> => print($STATUS) -> ['STEP(a.2)'] -> print(./ch.message_count)",
    ),
    among(
        "choice",
        TWO,
        "{ choice | <./none: timeout=60> => print('late')\n <./ch> -> print($RESULT) } -> ['STEP(a.1)'] \
         -> { choice | <./none> -> print('never')\n <./none: timeout=0.1> => print($STATUS) }",
    ),
    among(
        "send",
        TWO,
        "[./none.send: 'self'] -> sleep(0.1) -> ['STEP(a.1)'] -> <./none> -> print($RESULT, ./none.message_count)",
    ),
    among(
        "memory-channel",
        &[],
        "[c = channel()] -> [c.send: 'm'] -> ['STEP(a.1)'] -> sleep(0.05) -> <c> -> print($RESULT)",
    ),
    among(
        "fork",
        &[SUB],
        "['STEP(a.1)'] -> { fork | ['STEP(b.1)'] -> print('a')\n sleep(0.1) -> print('b') -> ['STEP(c.1)'] \
         -> exit(3)\n [./sub: 1] -> print($RESULT) } => print($STATUS, length($RESULT)) -> ['STEP(a.2)']",
    ),
    plain(
        "pfor",
        "{ pfor i in 4 | [\"STEP(p$i.1)\"] -> sleep(0.05) -> [\"STEP(p$i.2)\"] -> print(i) } \
         -> print($STATUS) -> ['STEP(a.1)']",
    ),
    among(
        "multiplicity",
        &[SINGLE],
        "{ fork | [./single: 'b'] -> print('a')\n [./single: 'c'] -> print('b') } -> print('both')",
    ),
    plain(
        "process",
        "{ fork | detach() -> sleep(0.2) -> ['STEP(b.1)'] -> exit(0, 'r') } -> [p = $RESULT[0]] \
         -> <p: timeout=60> => print($STATUS, p.status, p.result) -> ['STEP(a.1)']",
    ),
    plain(
        "task",
        "[t = /task.add('ask', title='Which?', message='M')] -> ['STEP(a.1)'] -> <t> -> print($RESULT) \
         -> ['STEP(a.2)']",
    ),
    Program {
        name: "session",
        around: &[],
        source: "[__shell__ = '/bin/sh'] -> { try | { session s | [s.send: \"STEP(a.1); echo d''one\\n\"] -> <s ?? '*done': timeout=60> \
                 =>> print('= session', $STATUS) } } =>> ['STEP(b.1)'] -> print('= end')",
        // A restart of the server closes the session.
        or: &["= session -1\n= end\n", "= end\n"],
    },
    plain("suspend", "print('a') -> ['STEP(a.1)'] -> suspend() -> ['STEP(a.2)'] -> print('b')"),
    plain("exit", "['STEP(a.1)'] -> { for i in 2 | exit(4, 'r', 'e') }"),
    plain("abort", "['STEP(a.1)'] -> abort('gone')"),
    plain(
        "assert",
        "['STEP(a.1)'] -> { try | assert(1 == 2, 'no') } => print($STATUS) -> sleep(0.1) -> ['STEP(a.2)']",
    ),
    plain("error", "['STEP(a.1)'] -> [l = [1]] -> print(l[7])"),
    plain(
        "urlopen",
        "urlopen('URL(a.1)') -> print($RESULT.code, $RESULT.text) -> sleep(0.05) -> urlopen('URL(a.2)') \
         -> return($RESULT.text)",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_a_name_of_its_own_and_notes_its_steps() {
        let mut names: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROGRAMS.len());
        for program in PROGRAMS {
            let mut all = program.around.iter().map(|near| near.2).chain([program.source]);
            assert!(all.any(|text| text.contains("STEP(") || text.contains("URL(")));
        }
    }
}
