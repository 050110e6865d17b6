use std::collections::HashMap;

use super::*;

/// Libraries in memory, and what they printed.
#[derive(Default)]
struct Held {
    texts: HashMap<String, String>,
    printed: String,
    cancelled: bool,
}

impl Held {
    fn new(texts: &[(&str, &str)]) -> Self {
        let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Self { texts: texts.collect(), ..Self::default() }
    }
}

impl Surroundings for Held {
    fn find(&mut self, module: &str) -> Option<Found> {
        let path = module.strip_prefix(ROOT_PACKAGE)?.replace('.', "/");
        if let Some(source) = self.texts.get(&path) {
            return Some(Found::Library { source: source.clone(), path });
        }
        let below = format!("{path}/");
        self.texts.keys().any(|held| held.starts_with(&below)).then_some(Found::Package)
    }

    fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled
    }
}

fn options() -> Options {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let env = vec![("PATH".to_owned(), path.to_string_lossy().into_owned())];
    Options { path, env, ..Options::default() }
}

fn python() -> Python {
    Python::new(options())
}

fn named(module: &str) -> String {
    format!("{ROOT_PACKAGE}{}", module.replace('/', "."))
}

fn call(
    python: &Python,
    (kind, held): (Kind, &mut Held),
    library: &str,
    function: &str,
    positional: Vec<Value>,
) -> Result<Value, Failure> {
    let call = Call {
        module: named(library),
        function: function.to_owned(),
        positional,
        named: Dict::new(),
        zone: TimeZone::UTC,
    };
    python.call(kind, &call, None, held)
}

fn raised(result: Result<Value, Failure>) -> String {
    match result {
        Err(Failure::Raised(text)) => text,
        other => panic!("{other:?}"),
    }
}

// rule: operations/python-values
#[test]
fn values_go_to_python_and_back() {
    let mut held = Held::new(&[(
        "/a",
        "def same(x):\n    return x\ndef kind(x):\n    return type(x).__name__\n",
    )]);
    let python = python();
    let big: num_bigint::BigInt = "123456789012345678901234567890".parse().unwrap();
    let tricky = Dict::from_iter([("$".to_owned(), Value::from("dict"))]);
    let values = [
        (Value::Null, "NoneType"),
        (Value::Bool(true), "bool"),
        (Value::Int(i64::MIN), "int"),
        (Value::Big(big), "int"),
        (Value::Float(1.0), "float"),
        (Value::Float(f64::INFINITY), "float"),
        (Value::from("日本 \u{0}\"\\"), "str"),
        (Value::Bytes(vec![0, 255, 10]), "bytes"),
        (
            Value::Datetime(jiff::Timestamp::from_microsecond(1_700_000_000_123_456).unwrap()),
            "datetime",
        ),
        (Value::Datetime(jiff::Timestamp::from_microsecond(-1).unwrap()), "datetime"),
        (Value::Date(jiff::civil::date(2024, 2, 29)), "date"),
        (Value::Time(jiff::civil::time(1, 2, 3, 4_000)), "time"),
        (Value::Timedelta(jiff::SignedDuration::from_micros(-1_500_000)), "timedelta"),
        (Value::Array(vec![Value::Int(1), Value::Array(vec![]), Value::Dict(tricky)]), "list"),
    ];
    for (value, kind) in values {
        let back = call(&python, (Kind::Source, &mut held), "/a", "same", vec![value.clone()]);
        assert_eq!(back, Ok(value.clone()));
        let is = call(&python, (Kind::Source, &mut held), "/a", "kind", vec![value]);
        assert_eq!(is, Ok(Value::from(kind)));
    }
    let object = Value::Object(kompira_schema::value::Ref::Object(kompira_schema::id::ObjectId(1)));
    let refused = call(&python, (Kind::Source, &mut held), "/a", "same", vec![object]);
    assert_eq!(refused, Err(Failure::Value("'Object' cannot be given to a library".to_owned())));
}

// rule: operations/python-values
#[test]
fn what_is_no_value_of_the_language_is_an_error() {
    let text = "import datetime\ndef a():\n    return {1: 2}\ndef b():\n    return object()\n\
                def c():\n    x = []\n    x.append(x)\n    return x\ndef d():\n    return '\\ud800'\n\
                def e():\n    return 'x' * (20 << 20)\n\
                def f():\n    return datetime.datetime(2024, 1, 1), (1,), 1 << 70\n";
    let mut held = Held::new(&[("/a", text)]);
    let python = python();
    for (function, told) in [
        ("a", "TypeError: a key of type int cannot be returned"),
        ("b", "TypeError: a value of type object cannot be returned"),
        ("c", "ValueError: the value is nested too deeply"),
        ("d", "UnicodeEncodeError"),
        ("e", "ValueError: the value is too large: at most 16777216 bytes"),
    ] {
        let said = raised(call(&python, (Kind::Source, &mut held), "/a", function, vec![]));
        assert!(said.starts_with(told), "{function}: {said}");
    }
    let zoned = Call {
        module: named("/a"),
        function: "f".to_owned(),
        positional: vec![],
        named: Dict::new(),
        zone: TimeZone::fixed(jiff::tz::offset(9)),
    };
    let made = python.call(Kind::Source, &zoned, None, &mut held).unwrap();
    let big: num_bigint::BigInt = "1180591620717411303424".parse().unwrap();
    assert_eq!(
        made,
        Value::Array(vec![
            Value::Datetime("2023-12-31T15:00:00Z".parse().unwrap()),
            Value::Array(vec![Value::Int(1)]),
            Value::Big(big),
        ])
    );
}

// rule: operations/python
#[test]
fn what_raises_and_what_exits_says_so_and_the_next_call_works() {
    let text = "import os\nimport sys\ndef a(x):\n    print('before', x)\n    return 1 / x\n\
                def b():\n    sys.exit(3)\ndef c():\n    os._exit(3)\n_x = 1\ndef _d():\n    pass\n\
                class E:\n    pass\n";
    let mut held = Held::new(&[("/root/a", text)]);
    let python = python();
    let mut run = |function: &str, given: Vec<Value>| {
        call(&python, (Kind::Source, &mut held), "/root/a", function, given)
    };
    assert_eq!(
        raised(run("a", vec![Value::Int(0)])),
        "ZeroDivisionError: division by zero (/root/a, line 5, in a)"
    );
    assert_eq!(raised(run("b", vec![])), "SystemExit: 3 (/root/a, line 7, in b)");
    let ended = Failure::Lost("the Python process ended".to_owned());
    assert_eq!(run("c", vec![]), Err(ended));
    for hidden in ["_d", "_x", "E", "os", "nothing"] {
        assert_eq!(run(hidden, vec![]), Err(Failure::NoFunction), "{hidden}");
    }
    assert!(matches!(run("a", vec![]), Err(Failure::Arguments(text)) if text.contains("'x'")));
    assert_eq!(run("a", vec![Value::Int(1)]), Ok(Value::Float(1.0)));
    assert_eq!(held.printed, "before 0\nbefore 1\n");
}

// rule: operations/python-bounds
#[test]
fn an_endless_call_ends_by_its_time_limit_and_the_next_one_works() {
    let text = "import time\ndef a():\n    while True:\n        pass\n\
                def b():\n    return sum(range(10 ** 12))\ndef c():\n    return 'here'\n\
                def d():\n    time.sleep(10 ** 6)\n";
    let mut held = Held::new(&[("/a", text), ("/b", "while True:\n    pass\n")]);
    let bounds = Duration::from_millis(700);
    let python = Python::new(Options { call: bounds, load: bounds, ..options() });
    let mut run = |function: &str| call(&python, (Kind::Source, &mut held), "/a", function, vec![]);
    for function in ["a", "b", "d"] {
        assert!(
            matches!(run(function), Err(Failure::Lost(text)) if text.starts_with("time limit")),
            "{function}"
        );
    }
    assert!(matches!(
        python.load(Kind::Source, &named("/b"), &mut held),
        (_, Err(Failure::Lost(_)))
    ));
    // A slow machine may need longer than the limit for a good call.
    let patient = Python::new(options());
    let good = call(&patient, (Kind::Source, &mut held), "/a", "c", vec![]);
    assert_eq!(good, Ok(Value::from("here")));
    held.cancelled = true;
    let cancelled = call(&patient, (Kind::Source, &mut held), "/a", "d", vec![]);
    assert_eq!(cancelled, Err(Failure::Cancelled));
}

// rule: operations/python-bounds
#[test]
fn a_call_that_prints_or_takes_too_much_fails_alone() {
    let text = "def a():\n    while True:\n        print('x' * 1000)\n\
                def b():\n    return len(bytearray(1 << 40))\ndef c():\n    return 1\n";
    let mut held = Held::new(&[("/a", text)]);
    let python = python();
    let mut run = |function: &str| call(&python, (Kind::Source, &mut held), "/a", function, vec![]);
    assert!(raised(run("a")).starts_with("RuntimeError: too much is printed"));
    assert!(raised(run("b")).starts_with("MemoryError"));
    assert_eq!(run("c"), Ok(Value::Int(1)));
    assert!(held.printed.len() <= PRINT_CHARS_MAX);
}

// rule: operations/python-imports
#[test]
fn libraries_import_one_another_and_follow_changes() {
    let mut held = Held::new(&[
        (
            "/root/x/a",
            "from . import b\nfrom ..c import three\ndef f():\n    return b.two() + three()\n",
        ),
        ("/root/x/b", "'''Two.'''\ndef two():\n    return 2\n"),
        (
            "/root/c",
            "from kompira.library.objects.root.x.b import two\ndef three():\n    return two() + 1\n",
        ),
    ]);
    let python = python();
    let sum = call(&python, (Kind::Source, &mut held), "/root/x/a", "f", vec![]);
    assert_eq!(sum, Ok(Value::Int(5)));
    held.texts.insert("/root/x/b".to_owned(), "def two():\n    return 20\n".to_owned());
    let sum = call(&python, (Kind::Source, &mut held), "/root/x/a", "f", vec![]);
    assert_eq!(sum, Ok(Value::Int(41)));
    held.texts.remove("/root/x/b");
    let said = raised(call(&python, (Kind::Source, &mut held), "/root/x/a", "f", vec![]));
    assert!(said.starts_with("ImportError: cannot import name 'b'"), "{said}");
    let (needs, loaded) = python.load(Kind::Source, &named("/root/c"), &mut held);
    assert!(
        matches!(loaded, Err(Failure::Raised(text)) if text.starts_with("ModuleNotFoundError"))
    );
    assert!(needs.contains(&(named("/root/x/b"), mark(None))), "{needs:?}");
    held.texts.insert("/root/x/b".to_owned(), "'''Two.'''\ndef two():\n    return 2\n".to_owned());
    let (_, loaded) = python.load(Kind::Source, &named("/root/x/b"), &mut held);
    let two = Loaded { document: Some("Two.".to_owned()) };
    assert_eq!(loaded, Ok(two));
}

// rule: operations/safe-python
#[test]
fn a_safe_library_computes_and_reaches_nothing_outside() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "secret").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    for path in [dir.path(), &file] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let text = "import datetime, json, math, re\nfrom . import helper\n\
        def fine(x):\n    day = datetime.datetime.strptime('2024-01-02', '%Y-%m-%d')\n\
        \x20   print(json.dumps(x), '日本'.encode('cp932'))\n\
        \x20   return [math.floor(1.5), re.sub('a', 'b', x), day.year, helper.one()]\n\
        def o():\n    return re.enum.sys.modules['os']\n\
        def opens(name):\n    return open(name)\n\
        def reads(name):\n    return o().open(name, 0)\n\
        def io(name):\n    return re.enum.sys.modules['io'].open(name).read()\n\
        def removes(name):\n    o().unlink(name)\n\
        def kills():\n    o().kill(o().getppid(), 9)\n\
        def forks():\n    return o().fork()\n\
        def runs():\n    o().execv('/bin/true', ['true'])\n\
        def imports(name):\n    __import__(name)\n\
        def slips(name):\n    o().__builtins__['__import__'](name)\n\
        def swaps():\n    class All:\n        def __contains__(self, name):\n            return True\n\
        \x20   main = re.enum.sys.modules['__main__']\n\
        \x20   for name in list(vars(main)):\n\
        \x20       if isinstance(getattr(main, name), (frozenset, tuple, list, set, dict)):\n\
        \x20           setattr(main, name, All())\n\
        \x20   return re.enum.sys.modules['io'].open('/etc/hostname').read()\n\
        def lacks():\n    posix = re.enum.sys.modules['posix']\n\
        \x20   names = 'unlink rename kill mkfifo mknod setpriority execv readlink chmod link mkdir'\n\
        \x20   return [name for name in names.split() if hasattr(posix, name) or hasattr(o(), name)]\n\
        def pipes():\n    o().pipe()\n\
        def sockets():\n    return re.enum.sys.modules['_socket']\n";
    let mut held = Held::new(&[("/a", text), ("/helper", "def one():\n    return 1\n")]);
    let python = python();
    let mut run = |function: &str, given: Vec<Value>| {
        call(&python, (Kind::Safe, &mut held), "/a", function, given)
    };
    assert_eq!(
        run("fine", vec![Value::from("cat")]),
        Ok(Value::Array(vec![Value::Int(1), Value::from("cbt"), Value::Int(2024), Value::Int(1)]))
    );
    let name = Value::from(file.to_str().unwrap());
    for function in ["opens", "reads", "io", "removes"] {
        raised(run(function, vec![name.clone()]));
    }
    for function in ["kills", "forks", "runs", "pipes", "sockets"] {
        raised(run(function, vec![]));
    }
    for module in ["os", "socket", "ctypes", "subprocess", "sys", "_posixsubprocess", "pathlib"] {
        let said = raised(run("imports", vec![Value::from(module)]));
        assert!(said.starts_with("ImportError: a safe library cannot import"), "{said}");
    }
    for module in ["socket", "ctypes", "_socket", "subprocess"] {
        raised(run("slips", vec![Value::from(module)]));
    }
    let said = raised(run("swaps", vec![]));
    assert!(said.contains("a safe library cannot do this: open"), "{said}");
    assert_eq!(run("lacks", vec![]), Ok(Value::Array(Vec::new())));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret");
}

// rule: operations/python
#[test]
fn the_first_python_that_starts_is_taken_and_one_that_hangs_is_given_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open.clone()).unwrap();
    let mut dirs = Vec::new();
    for (name, text) in [("a", "#!/bin/sh\nexit 0\n"), ("b", "#!/bin/sh\nsleep 1000\n")] {
        let dir = dir.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let program = dir.join("python3");
        std::fs::write(&program, text).unwrap();
        for path in [&dir, &program] {
            std::fs::set_permissions(path, open.clone()).unwrap();
        }
        dirs.push(dir);
    }
    let hangs = Python::new(Options {
        path: std::env::join_paths(&dirs).unwrap(),
        start: Duration::from_millis(300),
        ..options()
    });
    let mut held = Held::new(&[("/a", "def a():\n    return 1\n")]);
    let (_, loaded) = hangs.load(Kind::Source, &named("/a"), &mut held);
    assert!(matches!(loaded, Err(Failure::NoPython(why)) if why.contains("time limit")));
    let all = options().path;
    dirs.truncate(1);
    dirs.extend(std::env::split_paths(&all));
    let finds = Python::new(Options { path: std::env::join_paths(&dirs).unwrap(), ..options() });
    let one = call(&finds, (Kind::Source, &mut held), "/a", "a", vec![]);
    assert_eq!(one, Ok(Value::Int(1)));
}

// rule: operations/python
#[test]
fn without_an_interpreter_nothing_runs_and_the_reason_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let python = Python::new(Options { path: dir.path().into(), ..options() });
    let (_, loaded) = python.load(Kind::Source, &named("/a"), &mut Held::default());
    assert!(matches!(loaded, Err(Failure::NoPython(why)) if why.contains("PATH")));
}

// rule: operations/python
#[test]
fn a_process_that_was_killed_while_it_had_nothing_to_do_is_replaced() {
    let mut held = Held::new(&[("/a", "import os\ndef a():\n    return os.getpid()\n")]);
    let python = python();
    let mut pid = || match call(&python, (Kind::Source, &mut held), "/a", "a", vec![]) {
        Ok(Value::Int(pid)) => i32::try_from(pid).unwrap(),
        other => panic!("{other:?}"),
    };
    let first = pid();
    assert_eq!(pid(), first);
    let killed = nix::unistd::Pid::from_raw(first);
    nix::sys::signal::kill(killed, nix::sys::signal::Signal::SIGKILL).unwrap();
    // It has ended with its last thread.
    let (stat, tasks) = (format!("/proc/{first}/stat"), format!("/proc/{first}/task"));
    while !std::fs::read_to_string(&stat).unwrap_or_default().contains(") Z ")
        || std::fs::read_dir(&tasks).map_or(0, Iterator::count) > 1
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_ne!(pid(), first);
}

// rule: operations/python
#[test]
fn no_process_is_left_when_the_server_stops() {
    let mut held = Held::new(&[("/a", "import os\ndef a():\n    return os.getpid()\n")]);
    let python = python();
    let Ok(Value::Int(pid)) = call(&python, (Kind::Source, &mut held), "/a", "a", vec![]) else {
        panic!("no number")
    };
    let place = format!("/proc/{pid}");
    assert!(std::path::Path::new(&place).exists());
    if nix::unistd::geteuid().is_root() {
        let status = std::fs::read_to_string(format!("{place}/status")).unwrap();
        let ids = status.lines().find(|line| line.starts_with("Uid:")).unwrap();
        assert!(!ids.split_whitespace().any(|id| id == "0"), "{ids}");
    }
    python.stop();
    assert!(!std::path::Path::new(&place).exists());
    let late = call(&python, (Kind::Source, &mut held), "/a", "a", vec![]);
    assert_eq!(late, Err(Failure::Cancelled));
}

// rule: operations/python-threads
#[test]
fn what_a_thread_of_an_earlier_call_prints_or_imports_reaches_no_later_call() {
    let text = "import importlib\nimport threading\n\
                gate, over = threading.Event(), threading.Event()\nsaid = []\n\
                def late(inner=True):\n    gate.wait()\n    print('late')\n\
                \x20   try:\n        importlib.import_module('kompira.library.objects.other')\n\
                \x20       said.append('imported')\n\
                \x20   except ImportError as error:\n        said.append(str(error))\n\
                \x20   if inner:\n        helper = threading.Thread(target=late, args=(False,))\n\
                \x20       helper.start()\n        helper.join()\n        over.set()\n\
                def begin():\n    threading.Thread(target=late).start()\n    print('begun')\n\
                def end():\n    gate.set()\n    over.wait()\n    print('ended')\n    return said\n\
                def both():\n    one = threading.Thread(target=print, args=('inside',))\n\
                \x20   one.start()\n    one.join()\n    print('own')\n\
                \x20   from . import other\n    return other.x\n";
    let mut held = Held::new(&[("/a", text), ("/other", "x = 7\n")]);
    let python = python();
    let mut run = |function: &str| {
        held.printed.clear();
        let done = call(&python, (Kind::Source, &mut held), "/a", function, vec![]);
        (done, held.printed.clone())
    };
    assert_eq!(run("begin"), (Ok(Value::Null), "begun\n".to_owned()));
    let over = Value::from("the call that this thread belongs to is over");
    let both = Value::Array(vec![over.clone(), over]);
    assert_eq!(run("end"), (Ok(both), "ended\n".to_owned()));
    // A thread of the call itself is heard.
    assert_eq!(run("both"), (Ok(Value::Int(7)), "inside\nown\n".to_owned()));
}

// rule: operations/python-threads
#[test]
fn a_module_that_comes_while_libraries_are_forgotten_does_no_harm() {
    // As a thread that is left over may do at any moment.
    let text = "import sys\nclass Name(str):\n    def startswith(self, *rest):\n\
                \x20       sys.modules['late%d' % len(sys.modules)] = sys\n\
                \x20       return str.startswith(self, *rest)\n\
                \x20   def __hash__(self):\n        return str.__hash__(self)\n\
                \x20   def __eq__(self, other):\n        if hasattr(sys, 'armed'):\n\
                \x20           del sys.armed\n            raise KeyboardInterrupt\n\
                \x20       return str.__eq__(self, other)\n\
                def a():\n    sys.modules[Name('kompira.library.x')] = sys\n    sys.armed = True\n\
                \x20   import os\n    return os.getpid()\n\
                def b():\n    import os\n    return os.getpid()\n";
    let mut held = Held::new(&[("/a", text)]);
    let python = python();
    let first = call(&python, (Kind::Source, &mut held), "/a", "a", vec![]).unwrap();
    // It is another one now: the old one is forgotten.
    held.texts.insert("/a".to_owned(), format!("{text}\n"));
    assert_eq!(call(&python, (Kind::Source, &mut held), "/a", "b", vec![]), Ok(first));
}

// rule: operations/python-threads
#[test]
fn a_question_that_is_left_over_is_answered_with_nothing() {
    // It is asked as if by a thread whose call ends meanwhile.
    let text = "import sys\nfinder = sys.meta_path[0]\ndef a():\n\
                \x20   finder.wire.put({'find': 'kompira.library.objects.b', 'n': 1, 'id': 99})\n\
                \x20   finder.wire.put({'print': 'old', 'n': 1})\ndef b():\n    return 2\n";
    let mut held = Held::new(&[("/a", text)]);
    let python = python();
    let mut run = |function: &str| call(&python, (Kind::Source, &mut held), "/a", function, vec![]);
    assert_eq!(run("b"), Ok(Value::Int(2)));
    assert_eq!(run("a"), Ok(Value::Null));
    assert_eq!(run("b"), Ok(Value::Int(2)));
    assert_eq!(held.printed, "");
}

// rule: operations/python-bounds
#[test]
fn a_process_that_ended_keeps_its_number_until_its_group_is_killed() {
    let stopped = AtomicBool::new(false);
    let limit = Limit { stopped: &stopped, until: Instant::now() }.after(Duration::from_secs(30));
    let bounds = Bounds { confined: false, memory: 2 << 30, file: 1 << 20 };
    let start =
        |program: PathBuf| Worker::start(&program, &options().env, &bounds, &limit, &|| false).ok();
    let worker = python().programs().into_iter().find_map(start).unwrap();
    assert!(worker.is_good());
    let pid = worker.pid().unwrap();
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    while worker.is_good() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Looked at again and again, it is still there: nobody else can have its number.
    assert!(!worker.is_good());
    let stat = format!("/proc/{pid}/stat");
    assert!(std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    drop(worker);
    assert!(!std::path::Path::new(&stat).exists());
}

// rule: operations/python
#[test]
fn what_a_library_started_ends_when_the_server_is_gone() {
    let stopped = AtomicBool::new(false);
    let limit =
        || Limit { stopped: &stopped, until: Instant::now() }.after(Duration::from_secs(60));
    let bounds = Bounds { confined: false, memory: 2 << 30, file: 1 << 20 };
    let start = |program: PathBuf| {
        Worker::start(&program, &options().env, &bounds, &limit(), &|| false).ok()
    };
    let mut worker = python().programs().into_iter().find_map(start).unwrap();
    let text =
        "import subprocess\ndef f():\n    return subprocess.Popen(['sleep', '100000']).pid\n";
    let mut held = Held::new(&[("/a", text)]);
    let order = serde_json::json!({
        "do": "call", "module": named("/a"), "function": "f", "positional": [], "named": {},
    });
    let done = worker.call(order.to_string().as_bytes(), &TimeZone::UTC, limit(), &mut held);
    let Ok(Value::Int(pid)) = done else { panic!("{done:?}") };
    let stat = format!("/proc/{pid}/stat");
    let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(runs());
    worker.leave();
    while runs() {
        std::thread::sleep(Duration::from_millis(5));
    }
}
