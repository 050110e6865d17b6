use super::*;

fn config(text: &str) -> Config {
    Config::new(Some((Path::new("k.conf"), text)), &[]).unwrap()
}

fn refused(text: &str) -> Vec<(&'static str, String)> {
    let fault = Config::new(Some((Path::new("k.conf"), text)), &[]).unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    fault.told().args.clone()
}

// rule: operations/config-derivation
#[test]
fn broker_settings_follow_from_the_server_and_an_explicit_key_stops_its_own_alone() {
    for (given, ssl, port, user, password) in [
        ("", false, "5672", "guest", "guest"),
        ("server = mq.example.net", true, "5671", "kompira", "kompira"),
        ("server = mq.example.net\nssl = false", false, "5672", "kompira", "kompira"),
        ("server = mq.example.net\nuser = ops", true, "5671", "ops", "ops"),
        ("server = mq.example.net\nuser =", true, "5671", "kompira", "kompira"),
    ] {
        let config = config(&format!("[amqp-connection]\n{given}\n"));
        assert_eq!(config.flag("amqp-connection", "ssl"), ssl, "{given}");
        assert_eq!(config.text("amqp-connection", "port"), port, "{given}");
        assert_eq!(config.text("amqp-connection", "user"), user, "{given}");
        assert_eq!(config.text("amqp-connection", "password"), password, "{given}");
    }
}

// rule: operations/config-origin, operations/config
#[test]
fn each_value_knows_where_it_comes_from_and_the_later_one_wins() {
    let over = [
        Override {
            name: "paths.data",
            text: "/env".into(),
            origin: Origin::Environment("KOMPIRA_DATA"),
        },
        Override {
            name: "http.listen",
            text: "127.0.0.1:1".into(),
            origin: Origin::CommandLine("--listen".into()),
        },
    ];
    let text = "[paths]\ndata = /file\n[logging]\nLogLevel: debug\n[http]\nlisten = 10.0.0.1:80\n";
    let config = Config::new(Some((Path::new("k.conf"), text)), &over).unwrap();
    let origin = |section, key| config.setting(section, key).origin.to_string();
    assert_eq!(origin("paths", "data"), "$KOMPIRA_DATA");
    assert_eq!(origin("http", "listen"), "--listen");
    assert_eq!(config.text("http", "listen"), "127.0.0.1:1");
    assert_eq!(origin("logging", "loglevel"), "k.conf:4");
    assert_eq!(origin("agent", "pool_size"), "default");
    assert_eq!(origin("amqp-connection", "port"), "follows from amqp-connection.ssl");
}

// rule: operations/config-syntax
#[test]
fn comments_continuation_products_and_unknown_keys_are_understood() {
    let text = "\u{feff}# top\r\n[http]\r\n; no\r\nlisten = 127.0.0.1:1,\r\n   127.0.0.1:2\r\n\
                max_upload = 64 * 1024*1024\r\ncolour = blue\r\n";
    let config = config(text);
    assert_eq!(config.list("http", "listen"), ["127.0.0.1:1", "127.0.0.1:2"]);
    assert_eq!(config.integer("http", "max_upload"), Some(64 * 1024 * 1024));
    let warned = ["k.conf:7: [http] colour is no setting of this version; ignored"];
    assert_eq!(config.warnings(), warned);
}

// rule: operations/config-syntax
#[test]
fn a_line_that_cannot_be_read_is_named() {
    for (text, line, why) in [
        ("a = 1\n", "1", "no `[section]` stands above this line"),
        ("[a]\nnothing\n", "2", "a `=` is missing"),
        ("[a\n", "1", "a `]` is missing"),
        ("[a]\nk = 1\nK = 2\n", "3", "this key was already given in this section"),
        ("[a]\n= 2\n", "2", "the key is missing"),
    ] {
        let args = refused(text);
        assert!(args.contains(&("line", line.to_owned())), "{text:?}: {args:?}");
        assert!(args.contains(&("why", why.to_owned())), "{text:?}: {args:?}");
    }
}

// rule: operations/config-syntax, operations/config-items
#[test]
fn a_value_out_of_range_names_file_line_section_and_key() {
    for (text, origin) in [
        ("[agent]\npool_size = 81\n", "k.conf:2"),
        ("[agent]\n\npool_size = 0\n", "k.conf:3"),
        ("[agent]\npool_size = -1\n", "k.conf:2"),
        ("[agent]\ncache_duration = 1*\n", "k.conf:2"),
        ("[logging]\nloglevel = LOUD\n", "k.conf:2"),
        ("[http]\nlisten = everywhere\n", "k.conf:2"),
        ("[http]\nmax_upload = 99999999999*99999999999\n", "k.conf:2"),
    ] {
        assert!(refused(text).contains(&("origin", origin.to_owned())), "{text:?}");
    }
    assert_eq!(config("[agent]\npool_size = 80\n").integer("agent", "pool_size"), Some(80));
}

#[test]
fn a_secret_is_not_shown() {
    let config = config("[amqp-connection]\npassword = hunter2\n");
    assert_eq!(config.setting("amqp-connection", "password").shown(), "(hidden)");
}
