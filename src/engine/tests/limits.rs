//! One process's excess ends that process.

use std::path::PathBuf;

use super::*;

// rule: operations/process-limits, decision C-76
#[test]
fn beyond_the_limit_of_active_processes_starts_stay_new() {
    let world = World::with(Limits { active: 2, ..Limits::default() });
    let job = world.jobflow("job", "['x']");
    let ids: Vec<_> = (0..4).map(|_| world.start(job)).collect();
    let (first, second) = (world.runner.next(), world.runner.next());
    world.until("the others are put in line", || {
        ids.iter().filter(|&&id| world.info(id).status == Status::New).count() == 2
    });
    assert_eq!(world.runner.all().len(), 2);
    first.exit(0, "");
    let third = world.runner.next();
    second.exit(0, "");
    third.exit(0, "");
    world.runner.next().exit(0, "");
    ids.iter().for_each(|&id| assert_eq!(world.ended(id).status, Status::Done));
}

// rule: operations/job-manager
#[test]
fn a_command_that_waits_for_the_pool_has_not_begun_and_is_not_interrupted() {
    let mut world = World::with(Limits { commands: 1, ..Limits::default() });
    let job = world.jobflow("job", "|n|\n[n] -> print('done')");
    let names = ["a", "b", "c", "d"];
    let ids: Vec<_> = names
        .iter()
        .map(|&n| world.start_with(job, &[("n", n.into())], StartOptions::default()))
        .collect();
    let flying = world.runner.next();
    ids.iter().for_each(|&id| world.waits(id));
    assert_eq!(world.runner.all().len(), 1);
    // One that is paused, and one that is gone, hold nobody up.
    let line = flying.line();
    let waiting: Vec<_> =
        names.iter().zip(&ids).filter(|(n, _)| **n != line).map(|(_, id)| *id).collect();
    world.engine().suspend(&root(), waiting[0]).unwrap();
    world.engine().terminate(&root(), waiting[1]).unwrap();
    flying.exit(0, "");
    let _ = world.runner.next();
    world.waits(waiting[2]);
    world.crash();
    assert_eq!(world.info(waiting[2]).error, "interrupted".into());
    assert!(world.engine().resume(&root(), waiting[0], Modes::default()).unwrap());
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(waiting[0]).status, Status::Done);
}

fn python(load: Duration) -> crate::remote::python::Python {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let env = vec![("PATH".to_owned(), path.to_string_lossy().into_owned())];
    let options = crate::remote::python::Options { path, env, load, ..Default::default() };
    crate::remote::python::Python::new(options)
}

// rule: operations/python-loading
#[test]
fn a_library_that_loads_slowly_keeps_neither_others_nor_calls_waiting() {
    let world = World::new();
    world.engine().run_libraries(python(Duration::from_secs(600)), PathBuf::new()).unwrap();
    let text = |text: &str| [("sourceText", Value::from(text))];
    let slow = world.object("/root", "slow", "Library", &text("import time\ntime.sleep(500)\n"));
    let fast = world.object("/root", "fast", "Library", &text("def f():\n    return 7\n"));
    let state = |id| {
        let view = world.tree().view();
        let object = view.get(&root(), id).unwrap();
        library::state(&world.engine().inner, &view, &object)
    };
    let loading = |id| state(id).document.is_some_and(|text| text.contains("is being loaded"));
    assert!(loading(slow));
    world.until("the other one is loaded", || state(fast).executable);
    // It is looked at again when it changes, and nobody is asked twice meanwhile.
    for number in 0..3 {
        world
            .tree()
            .write(&root(), Durability::Lazy, |txn| {
                let fields = text(&format!("'{number}'\ndef f():\n    return {number}\n"));
                let fields = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
                txn.update(fast, None, crate::tree::Patch { fields, ..Default::default() })
            })
            .unwrap();
        let told = Some(number.to_string());
        world.until("it is loaded anew", || state(fast).document == told);
    }
    let (info, console) = world.run("[x = ./fast.f()] -> print(x)");
    assert_eq!((info.status, console.as_str()), (Status::Done, "2\n"));
    assert!(loading(slow));
}

// rule: tree/library-modules
#[test]
fn a_library_of_the_type_module_is_a_file_of_the_operator() {
    let dir = tempfile::tempdir().unwrap();
    let modules = dir.path().join("library");
    std::fs::create_dir_all(modules.join("net")).unwrap();
    let file = modules.join("net/tools.py");
    std::fs::write(&file, "\"\"\"Tools.\"\"\"\ndef f(x):\n    return 1 / x\n").unwrap();
    std::fs::write(dir.path().join("secret.py"), "def f(x):\n    return 'secret'\n").unwrap();
    let world = World::new();
    world.engine().run_libraries(python(Duration::from_secs(10)), modules).unwrap();
    let library = |name: &str, kind: &str, module: &str, text: &str| {
        let fields = [("libraryType", kind), ("modulePath", module), ("sourceText", text)];
        world.object("/root", name, "Library", &fields.map(|(key, text)| (key, text.into())))
    };
    let lib = library("lib", "module", "net.tools", "def f(x):\n    return 'its text'\n");
    let state = |id| {
        let view = world.tree().view();
        let object = view.get(&root(), id).unwrap();
        let state = library::state(&world.engine().inner, &view, &object);
        (state.executable, state.document.unwrap_or_default())
    };
    world.until("it is loaded", || state(lib) == (true, "Tools.".to_owned()));
    assert_eq!(world.run("print(./lib.f(4))").1, "0.25\n");
    let (_, said) = world.run("{ try | [./lib.f: 0] } => print($ERROR)");
    let raised = "ZeroDivisionError: division by zero (kompira.library.net.tools, line 3, in f)\n";
    assert_eq!(said, raised);
    // The file counts as it is at the call, and a library in the tree may import it.
    std::fs::write(&file, "def f(x):\n    return x + 1\n").unwrap();
    assert_eq!(world.run("print(./lib.f(4))").1, "5\n");
    let uses = "from kompira.library.net.tools import f\ndef g():\n    return f(1)\n";
    library("uses", "source", "", uses);
    assert_eq!(world.run("print(./uses.g())").1, "2\n");
    // A safe one reaches no file, and no path leads elsewhere.
    library("safe", "safe_source", "", uses);
    let (_, said) = world.run("{ try | [./safe.g] } => print($ERROR)");
    assert!(said.starts_with("ImportError"), "{said}");
    for path in ["", "..secret", "objects.root.uses", "net/tools", "net.", "net"] {
        let name = format!("odd{}", path.len());
        let id = library(&name, "module", path, "");
        let (_, said) = world.run(&format!("{{ try | [./{name}.f: 1] }} => print($ERROR)"));
        // A directory is a package without functions.
        let expected = if path == "net" { "attribute not found: f" } else { "modulePath" };
        assert!(said.starts_with(expected), "{path}: {said}");
        assert!(path == "net" || state(id).1.starts_with(expected));
    }
}

// rule: operations/python-places
#[test]
fn calls_of_libraries_hold_up_no_command_and_wait_in_a_line_of_their_own() {
    let mut world = World::with(Limits { commands: 1, calls: 1, ..Limits::default() });
    world.engine().run_libraries(python(Duration::from_secs(10)), PathBuf::new()).unwrap();
    let text = "import time\ndef rest():\n    print('rests')\n    time.sleep(50)\n";
    world.object("/root", "lib", "Library", &[("sourceText", text.into())]);
    let rests = world.jobflow("rests", "[x = ./lib.rest()]");
    let first = world.start(rests);
    world.until("the first call runs", || world.console(first).contains("rests"));
    let others = [world.start(rests), world.start(rests)];
    others.iter().for_each(|&id| world.waits(id));
    // A command has its place all the same.
    let job = world.jobflow("job", "['x'] -> print('done')");
    let commanded = world.start(job);
    world.runner.next().exit(0, "");
    assert_eq!(world.ended(commanded).status, Status::Done);
    // One that is paused holds nobody up.
    world.engine().suspend(&root(), others[0]).unwrap();
    world.engine().terminate(&root(), first).unwrap();
    world.until("the next call runs", || world.console(others[1]).contains("rests"));
    assert_eq!(world.console(others[0]), "");
    // Who waits for a place has not begun: a kill interrupts the one that ran.
    world.crash();
    assert_eq!(world.info(others[1]).error, "interrupted".into());
    assert_ne!(world.info(others[0]).error, "interrupted".into());
}

// rule: operations/process-limits
#[test]
fn nested_forks_never_wait_for_each_other_for_ever() {
    let world = World::with(Limits { active: 1, ..Limits::default() });
    let (info, console) = world.run("{ pfor i in 3 | { pfor j in 3 | { pfor k in 2 | [] } } }");
    assert_eq!(info.status, Status::Done, "{console}");
}

// rule: operations/process-limits
#[test]
fn too_many_children_are_a_runtime_error() {
    let world = World::with(Limits { children: 10, ..Limits::default() });
    let (info, _) = world.run("{ pfor i in 10 | [] } -> print(1)");
    assert_eq!(info.status, Status::Done);
    let (info, _) = world.run("{ try | { pfor i in 11 | [] } } => return($ERROR)");
    assert_eq!(info.result, "too many children: 11, at most 10".into());
}

// rule: operations/process-limits
#[test]
fn memory_and_depth_end_only_the_process_that_wants_too_much() {
    let world = World::with(Limits { memory: 4 << 20, ..Limits::default() });
    let loud = world.jobflow("loud", "[s = 'x'] -> { while true | [s = s + s] }");
    let deep = world.jobflow("deep", "[./deep] -> print('x')");
    let endless = world.jobflow("endless", "{ while true | [] }");
    let ids = [world.start(endless), world.start(endless), world.start(loud), world.start(deep)];
    let quiet = world.jobflow("quiet", "print('fine')");
    assert_eq!(world.ended(world.start(quiet)).status, Status::Done);
    let info = world.ended(ids[2]);
    assert_eq!(info.status, Status::Aborted, "{:?}", info.error);
    let info = world.ended(ids[3]);
    assert_eq!(info.error, "call depth exceeded".into());
    for id in &ids[..2] {
        assert!(world.engine().terminate(&root(), *id).unwrap());
    }
}

// rule: operations/process-limits
#[test]
fn a_process_of_too_many_steps_says_so_and_ends() {
    let world = World::with(Limits { steps: 5_000, ..Limits::default() });
    let (info, console) = world.run("{ while true | [] }");
    assert_eq!(info.error, "too many steps: at most 5000".into());
    assert_eq!(console, "too many steps: at most 5000\n");
    assert_eq!(world.run("{ for i in 10 | [] }").0.status, Status::Done);
}

// rule: operations/process-limits
#[test]
fn a_process_whose_state_is_too_large_to_be_kept_ends_and_begins_no_command() {
    let world = World::with(Limits { frame: 10_000, ..Limits::default() });
    for wait in ["sleep(1)", "['never']"] {
        let source = format!("[s = 'x'] -> {{ for i in 15 | [s = s + s] }} -> {wait}");
        let (info, console) = world.run(&source);
        assert_eq!(info.status, Status::Aborted);
        assert_eq!(console, "its state is too large to be kept: at most 10000 bytes\n");
    }
    assert!(world.runner.all().is_empty());
    assert_eq!(world.engine().count_active(), 0);
}

// rule: operations/process-limits
#[test]
fn a_line_of_prints_is_bounded_on_the_console() {
    let world = World::new();
    let (info, console) = world.run("{ for i in 20000 | print(i, 'and some more text') }");
    assert_eq!(info.status, Status::Done);
    assert!(console.len() <= 64 * 1024 && console.len() > 60 * 1024);
    assert!(console.ends_with("19999 and some more text\n"));
    assert!(console.starts_with(|c: char| c.is_ascii_digit()), "cut at a line");
}

#[test]
fn a_tail_call_and_a_loop_of_updates_stay_small() {
    let world = World::new();
    world.object("/root", "text", "Text", &[("text", "".into())]);
    let (info, console) =
        world.run("[n = 0] -> { while n < 1000 | [n = n + 1] -> [string(n) >> ./text.text] }");
    // `string` comes with the standard library; without it the first job says so.
    assert!(info.status == Status::Done || console.contains("string"), "{console}");
}
