//! Texts of strangers: whatever comes in is taken or refused, and nothing breaks.

use kompira_schema::field::FieldType;
use proptest::prelude::*;

use super::*;

/// What refuses; anything else would be a fault of ours.
fn is_refusal(kind: Kind) -> bool {
    !matches!(kind, Kind::Internal | Kind::Corrupt | Kind::Io | Kind::Unavailable)
}

fn refused_or<T>(done: Result<T, Fault>) -> Option<T> {
    match done {
        Ok(value) => Some(value),
        Err(fault) => {
            assert!(is_refusal(fault.kind()), "{fault:?}");
            None
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop_oneof![
            ".{0,12}",
            "/[a-z/]{0,12}",
            "~[()a-z/]{0,8}",
            r"\$\[[a-z]{0,3}\](\[[a-z]{0,3}\])?",
            "[(*?\\[\\])+{}|^$.a-z]{0,10}",
            "[0-9T:. +-]{0,20}",
        ]
        .prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec(("[a-z_]{0,8}|switch|case|enum|object", inner), 0..4)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    json().prop_map(|json| plain(&json))
}

fn plain(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => (*truth).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        serde_json::Value::Object(items) => {
            Value::Dict(items.iter().map(|(key, item)| (key.clone(), plain(item))).collect())
        }
    }
}

fn field_type() -> impl Strategy<Value = String> {
    let names = "String|Text|LargeText|Password|Binary|Integer|Float|Boolean|Enum|File|Object|Datetime|Date|Time|IPAddress|EMail|URL";
    let shape = prop_oneof![
        names.prop_map(|name: String| name),
        names.prop_map(|name: String| format!("Array<{name}>")),
        names.prop_map(|name: String| format!("Dictionary<{name}>")),
        "[A-Za-z<>#{} ]{0,12}",
    ];
    let key = "default|invisible|help_text|object|directory|filter|order_by|no_empty|enum|pattern|min_length|max_length|strip|key_strip|min_value|max_value|schemes|[a-z]{1,5}";
    let said = proptest::collection::vec((key, json()), 0..4);
    (shape, said, "#|| ").prop_map(|(shape, said, between)| {
        let said: serde_json::Map<_, _> = said.into_iter().collect();
        if said.is_empty() {
            shape
        } else {
            format!("{shape}{between}{}", serde_json::Value::Object(said))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    // rule: objects/field-type-strings, objects/type-objects
    #[test]
    fn types_of_strangers(
        types in proptest::collection::vec(field_type(), 0..4),
        values in proptest::collection::vec(value(), 4),
    ) {
        for text in &types {
            if let Ok(read) = FieldType::parse(text) {
                let again = FieldType::parse(&read.to_string());
                prop_assert_eq!(again.ok(), Some(read), "{}", text);
            }
        }
        let world = world();
        let names: Vec<_> = (0..types.len()).map(|at| format!("f{at}").as_str().into()).collect();
        let types = types.iter().map(|text| text.as_str().into()).collect();
        let fields = [("fieldNames", Value::Array(names)), ("fieldTypes", Value::Array(types))];
        let Some(kind) = refused_or(world.create(&root(), "/user/Kind", "TypeObject", &fields)) else {
            return Ok(());
        };
        let place = world.id("/user");
        let draft = Draft::default();
        let id = refused_or(world.write(&root(), |txn| {
            txn.create(place, &name("o"), kind, draft.clone())
        }));
        let Some(id) = id else { return Ok(()) };
        for (at, value) in values.into_iter().enumerate() {
            let fields = Dict::from_iter([(format!("f{at}"), value)]);
            let patch = Patch { fields, ..Patch::default() };
            refused_or(world.write(&root(), |txn| txn.update(id, None, patch.clone())));
        }
        let view = world.tree.view();
        let object = view.get(&root(), id).unwrap();
        let def = view.type_def(kind).unwrap();
        for field in def.fields() {
            view.field(&object, &field.name).unwrap();
            refused_or(view.candidates_of(&root(), field, &object.fields, &[], &Page::default()));
            refused_or(view.choices_of(&root(), field, &object.fields));
        }
    }

    // rule: tree/find, tree/glob
    #[test]
    fn questions_of_strangers(
        conditions in proptest::collection::vec((
            "(owner|abspath|display_name|created|type_object|parent_object|field:(text|ext)|[a-z]{1,4})(__(exact|in|range|regex|gt|isnull|contains|x))?",
            value(),
        ), 0..4),
        order in proptest::option::of("-?(abspath|created|id|field:[a-z]{1,5}|[a-z]{0,4})(,-?[a-z]{1,8})?"),
        pattern in "[a-z*?\\[\\]!/.@()=_,'\" -]{0,24}",
        after in proptest::option::of("[A-Za-z0-9_-]{0,24}"),
        limit in proptest::option::of(0_usize..5),
    ) {
        let world = world();
        world.create(&root(), "/user/t", "Text", &[("text", "x".into())]).unwrap();
        let view = world.tree.view();
        for depth in [Depth::Children, Depth::Descendants] {
            for dir in ["/user", "/config/realm"] {
                let (conditions, order_by) = (conditions.clone(), order.clone());
                let query = Query { depth, conditions, order_by, offset: 1, limit };
                refused_or(view.find_page(&root(), world.id(dir), &query, after.as_deref()));
            }
        }
        let page = Page { order_by: order, offset: 0, limit };
        refused_or(view.glob(&guest(), world.id("/user"), &pattern, &page));
    }

    // rule: objects/names, tree/relative-paths
    #[test]
    fn paths_of_strangers(path in "(/|\\.\\.?|[a-zA-Z0-9_あ゙・\u{0}~-]{1,5}){0,12}") {
        let world = world();
        let view = world.tree.view();
        refused_or(view.resolve_from(world.id("/user"), &path));
        if let Some(read) = refused_or(ObjectPath::parse(&path)) {
            prop_assert_eq!(ObjectPath::parse(read.as_str()).ok(), Some(read.clone()));
            refused_or(view.resolve(&read));
            if let (Some(parent), Some(last)) = (read.parent(), read.name())
                && let Ok(dir) = view.resolve(&parent)
            {
                let text = world.kind("Text");
                let last = name(last);
                refused_or(world.write(&root(), |txn| txn.create(dir, &last, text, Draft::default())));
            }
        }
    }
}
