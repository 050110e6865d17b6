//! Depth, memory, budgets, damaged bytes.

use kompira::engine::vm::request::Request;
use kompira::engine::vm::sandbox::{Node, Sandbox};
use kompira::engine::vm::{Answer, Arguments, Machine, Options, Pause};
use kompira_schema::value::Value;

use super::drive::{DISTURBED, PLAIN, run};
use super::{compile, program, shared, start};

fn error_of(source: &str) -> String {
    match program(source, PLAIN).1.error {
        Value::Str(text) => text,
        other => panic!("{other:?}"),
    }
}

// rule: language/calls (C-80)
#[test]
fn the_frame_after_the_thousandth_is_refused() {
    let (console, end) =
        program("|n = 1| { if n < 1000 | then: [./main: n + 1] else: print(n) } -> []", PLAIN);
    assert_eq!((console.as_str(), end.status), ("1000\n", 0));
    assert_eq!(
        error_of("|n = 1| { if n < 1001 | then: [./main: n + 1] else: print(n) } -> []"),
        "call depth exceeded"
    );
}

// rule: language/tail-calls (C-77)
#[test]
fn a_tail_call_takes_the_place_of_its_frame() {
    let source = "|n = 0| { if n >= 3000 | print('end', n) -> exit() } -> [./main: n + 1]";
    let (console, end) = program(source, PLAIN);
    assert_eq!((console.as_str(), end.status), ("end 3000\n", 0));
}

// rule: language/control-jobs
#[test]
fn self_runs_forever_in_one_frame() {
    let (console, _) =
        program("|n = 5000| [n = n - 1] -> { if n > 0 | self() } -> print(n)", PLAIN);
    assert_eq!(console, "0\n");
}

#[test]
fn an_endless_loop_stops_at_every_budget() {
    for source in [
        "{ while true | [] }",
        "{ while true | continue }",
        "self()",
        "[./main]",
        "{ for i in 999999999999 | [] }",
    ] {
        let mut world = Sandbox::new();
        world.add("/t/main", Node::Jobflow(Some(compile(source)), None));
        let mut machine = start(&world, &Arguments::default());
        for budget in [1, 2, 10, 1000] {
            assert_eq!(machine.run(budget, &mut world), Pause::Budget, "{source}");
        }
    }
}

// rule: language/memory
#[test]
fn a_process_that_takes_too_much_memory_ends_and_says_so() {
    for source in [
        "[a = ['x']] -> { while true | [a = a + a] }",
        "[a = 'x'] -> { while true | [a = a + a] }",
        "[a = []] -> { while true | [a.add_item: 'text $a'] }",
        "[a = 'x' * 999999999999]",
        "[a = [0] * 99999999999999999999]",
        "[d = {}, i = 0] -> { while true | [i = i + 1, k = 'k$i'] -> [[0] * 1000 >> d[k]] }",
    ] {
        assert_eq!(error_of(source), "memory limit exceeded", "{source}");
    }
    assert_eq!(error_of("[a = 2] -> { while true | [a = a * a] }"), "integer too large");
}

#[test]
fn garbage_cycles_included_is_given_back() {
    let source = "[i = 0] -> { while i < 200000 | [a = [i], d = {k=a}] -> [a.add_item: d] -> [i = i + 1] } -> print(i)";
    let mut world = Sandbox::new();
    world.add("/t/main", Node::Jobflow(Some(compile(source)), None));
    let main = world.jobflow("/t/main").unwrap();
    let options = Options { memory_max: 8 << 20, ..Options::default() };
    let machine = Machine::start(main, &Arguments::default(), shared(), &options).unwrap();
    assert!(run(&mut world, machine, PLAIN).done);
}

#[test]
fn values_nested_without_end_are_shown_and_refused_where_they_must_be() {
    let cycle =
        "[a = [1]] -> [a.add_item: a] -> print(a) -> [d = {a=a}] -> [d >> d['d']] -> print(d)";
    assert_eq!(program(cycle, DISTURBED).0, "[1, [...]]\n{a=[1, [...]], d={...}}\n");
    let deep = "[a = []] -> { for i in 100000 | [a = [a]] } -> ";
    assert_eq!(error_of(&format!("{deep} print('made') -> [x = '$a']")), "value nested too deeply");
    assert_eq!(
        error_of(&format!("{deep} [b = []] -> {{ for i in 100000 | [b = [b]] }} -> [x = a == b]")),
        "value nested too deeply"
    );
    assert_eq!(program(&format!("{deep} {{ fork | print('child') }}"), PLAIN).1.status, 0);
}

// rule: language/checkpoints
#[test]
fn shared_containers_stay_shared_and_deep_ones_survive() {
    let source = r"[a = [1], b = a, d = {a=a, n=99999999999999999999, p=r'x'i, t=b'\xff', f=a.add_item}]
        -> [b.add_item: 2] -> [d.f: 3] -> print(a, d) -> [x = []] -> { for i in 2000 | [x = [x]] } -> print(length(x))";
    let expected = program(source, PLAIN);
    assert_eq!(program(source, DISTURBED), expected);
    assert!(expected.0.contains("[1, 2, 3]"), "{}", expected.0);
}

#[test]
fn damaged_bytes_are_refused_and_other_versions_named() {
    let source =
        "[a = [1, {k='v'}, 99999999999999999999], p = r'x'] -> { try | sleep(5) } -> print(a)";
    let mut world = Sandbox::new();
    world.add("/t/main", Node::Jobflow(Some(compile(source)), None));
    let mut machine = start(&world, &Arguments::default());
    assert!(matches!(machine.run(100, &mut world), Pause::Blocked(Request::Sleep(_))));
    let mut bytes = Vec::new();
    machine.save(&mut bytes);
    let load = |bytes: &[u8]| Machine::load(bytes, &world, shared(), &Options::default());
    assert!(load(&bytes).is_ok());
    for cut in 0..bytes.len() {
        assert!(load(&bytes[..cut]).is_err(), "{cut}");
    }
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            // What is still well formed may load; nothing may panic.
            drop(load(&damaged));
        }
    }
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert_eq!(load(&newer).unwrap_err(), kompira::engine::vm::LoadError::Version(9));
    let mut loaded = load(&bytes).unwrap();
    loaded.resume(Answer::Done);
    assert!(loaded.run(100, &mut world).is_end());
    assert_eq!(world.console, "[1, {k='v'}, 99999999999999999999]\n");
}

#[test]
fn answers_that_do_not_fit_are_runtime_errors() {
    let mut world = Sandbox::new();
    world.add("/t/main", Node::Jobflow(Some(compile("{ try | sleep(5) } => print($ERROR)")), None));
    let mut machine = start(&world, &Arguments::default());
    assert!(matches!(machine.run(100, &mut world), Pause::Blocked(_)));
    machine.resume(Answer::Session(0));
    assert!(machine.run(100, &mut world).is_end());
    assert_eq!(world.console, "a wait was answered wrongly\n");
}

// rule: language/multiplicity
#[test]
fn a_full_jobflow_is_waited_for_and_left_on_every_way_out() {
    let mut world = Sandbox::new();
    let sub = world.add(
        "/t/sub",
        Node::Jobflow(
            Some(compile(
                "|n| { if n > 0 | [./sub: n - 1] -> [] } -> { if n == 2 | abort('x') } -> []",
            )),
            Some(1),
        ),
    );
    world.add(
        "/t/main",
        Node::Jobflow(
            Some(compile("[./sub: 1] -> print('in') -> { try | [./sub: 2] } => []")),
            None,
        ),
    );
    let mut machine = start(&world, &Arguments::default());
    world.taken.insert(sub, 1);
    let pause = machine.run(1000, &mut world);
    assert_eq!(pause, Pause::Blocked(Request::Lock { jobflow: sub, multiplicity: 1 }));
    machine.resume(Answer::Done);
    assert!(
        matches!(machine.run(1000, &mut world), Pause::Blocked(Request::Lock { .. })),
        "still full"
    );
    world.taken.insert(sub, 0);
    machine.resume(Answer::Done);
    assert!(machine.run(1000, &mut world).is_end());
    assert_eq!(world.taken[&sub], 0);
    assert_eq!(world.console, "in\nx\n");
}

/// What a run comes to after that many steps, given in slices of `slice`.
fn after(world: &mut Sandbox, steps: u64, slice: u64) -> Option<Vec<u8>> {
    let mut machine = start(world, &Arguments::default());
    for _ in 0..steps / slice {
        if machine.run(slice, world) != Pause::Budget {
            return None;
        }
    }
    let mut bytes = Vec::new();
    machine.save(&mut bytes);
    Some(bytes)
}

// rule: language/limits
// rule: language/checkpoints
#[test]
fn steps_are_the_same_however_they_are_sliced() {
    let main = "|n = 11| |way = true| [x = 1.5, s = 0] ->
        { for i in 6 | { if i % 2 == 0 and i != 4 | then: [s = s + i * 3] elif i >= 5: [x = x / 2] } } ->
        { while s > -5 | [s = s - 4, held = s <= 0] -> { if held | continue } } ->
        [./down: n] -> [a = $RESULT] -> [./wide: a, n] -> [t = 'it is $RESULT'] ->
        { if not way | return(1) } -> [./down: 9223372036854775807 % 4] -> print(t, s, x, a)";
    let down = "|n| { if n < 2 | return(n) } -> [./down: n - 1] -> [a = $RESULT] ->
        [./down: n - 2] -> return(a + $RESULT)";
    let wide = "|a| |b| |c = 7| [d = a * b, e = d - c, f = e + 9223372036854775807] ->
        { try | [./down] } => return([a, b, c, d, e, f])";
    let mut world = Sandbox::new();
    for (name, source) in [("main", main), ("down", down), ("wide", wide)] {
        world.add(&format!("/t/{name}"), Node::Jobflow(Some(compile(source)), None));
    }
    let mut at = 0;
    while let Some(one) = after(&mut world, at, 1) {
        for slice in [at, at / 2, 60].into_iter().filter(|slice| *slice > 0 && at % slice == 0) {
            assert_eq!(after(&mut world, at, slice).as_ref(), Some(&one), "{at} by {slice}");
        }
        at += 5;
    }
    assert!(at > 500, "{at}");
    assert_eq!(program(main, PLAIN).1.status, 1, "it needs the others");
    let mut machine = start(&world, &Arguments::default());
    assert!(matches!(machine.run(u64::MAX, &mut world), Pause::Ended(end) if end.done));
    assert!(world.console.starts_with("it is "), "{}", world.console);
}
