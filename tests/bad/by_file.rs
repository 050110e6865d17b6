use super::{FIELDS, VALUES, holds};
use crate::files::driver::{Mount, errno};

const EINVAL: i32 = 22;

/// What a refused save leaves beside the object: why, and the text.
fn refused(mount: &Mount, name: &str, text: &str) -> String {
    assert_eq!(errno(mount.write(&format!("/d/{name}"), text)), EINVAL, "{text}");
    let kept = mount.read(&format!("/d/.{name}.rejected")).unwrap();
    assert!(kept.ends_with(text), "the text is kept: {kept}");
    kept
}

// rule: objects/conversion, objects/qualifiers, objects/addresses, objects/enum, files/rejected
#[test]
fn values_that_do_not_fit_are_told() {
    let mount = Mount::new();
    let list = |items: Vec<&str>| serde_json::to_string(&items).unwrap();
    let names = list(VALUES.iter().map(|(field, ..)| *field).collect());
    let types = list(VALUES.iter().map(|(_, kind, ..)| *kind).collect());
    let def = format!(
        "type_object: /system/types/TypeObject\nfields:\n  fieldNames: {names}\n  fieldTypes: {types}\n"
    );
    mount.write("/d/Bad", &def).unwrap();
    mount.write("/d/one", "type_object: /d/Bad\nfields: {}\n").unwrap();
    let before = mount.read("/d/one").unwrap();
    for (field, _, value, parts) in VALUES {
        let text = format!("type_object: /d/Bad\nfields:\n  {field}: {value}\n");
        let kept = refused(&mount, "one", &text);
        holds(&kept, field, parts);
        assert_eq!(mount.read("/d/one").unwrap(), before, "{field}");
        let told = mount.xattr("/d/one", "last_error").unwrap();
        holds(&told, field, parts);
        let first = kept.lines().next().unwrap();
        let told = |sign: &str| first.matches(&format!("{field}{sign}")).count();
        assert_eq!(told(": ") + told("["), 1, "told once: {first}");
    }
}

// rule: tree/validation, tree/mail-servers, objects/type-objects, objects/forbidden-texts
#[test]
fn fields_that_the_rules_of_a_type_refuse_are_told() {
    for (kind, fields, field, parts) in FIELDS {
        let mount = Mount::new();
        let record =
            |fields: &str| format!("type_object: /system/types/{kind}\nfields: {fields}\n");
        let file = if *kind == "Text" {
            mount.write("/d/bad", "some text").unwrap();
            "/d/.bad"
        } else {
            mount.write("/d/bad", &record("{}")).unwrap();
            "/d/bad"
        };
        assert_eq!(errno(mount.write(file, &record(fields))), EINVAL, "{kind} {fields}");
        let kept = mount.list("/.kompira/rejected");
        assert_eq!(kept.len(), 1, "{kept:?}");
        let kept = mount.read(&format!("/.kompira/rejected/{}", kept[0])).unwrap();
        holds(&kept, field, parts);
    }
}

// rule: tree/containers, objects/names
#[test]
fn what_cannot_be_done_is_refused() {
    let mount = Mount::new();
    for name in ["1st", "a b"] {
        assert_eq!(errno(mount.mkdir(&format!("/d/{name}"))), EINVAL, "{name}");
    }
    let long = "a".repeat(300);
    assert_eq!(errno(mount.mkdir(&format!("/d/{long}"))), 36, "ENAMETOOLONG");
    mount.mkdir("/d/dir").unwrap();
    assert_eq!(errno(mount.mkdir("/d/dir")), 17, "EEXIST");
    mount.mkdir("/d/dir/below").unwrap();
    assert_eq!(errno(mount.rename("/d/dir", "/d/dir/below/dir")), EINVAL, "into itself");
    assert_eq!(errno(mount.rmdir("/d/dir")), 39, "ENOTEMPTY");
    assert_eq!(errno(mount.unlink("/system/types/Text")), 1, "EPERM: it came with the product");
    assert_eq!(errno(mount.rename("/system/types", "/d/types")), 1, "EPERM");
    let table = "type_object: /system/types/Table\nfields:\n  typeObject: /system/types/Channel\n";
    mount.mkdir("/d/table").unwrap();
    mount.write("/d/.table", table).unwrap();
    assert_eq!(errno(mount.mkdir("/d/table/dir")), EINVAL, "another type than the table's");
    let text = "type_object: /system/types/Wiki\nfields: {}\n";
    assert_eq!(errno(mount.write("/d/table/x.yaml", text)), EINVAL);
}
