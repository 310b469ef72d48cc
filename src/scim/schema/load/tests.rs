//! What is read, what is refused, and where a problem is.

use super::*;
use crate::base::id::TypeCode;
use crate::scim::schema::{ENTERPRISE_USER, GROUP, Mutability, ResourceType, Returned, Type, USER, Uniqueness};
use serde_json::{Value, json};
use std::sync::Arc;

fn file(name: &str, value: &Value) -> SchemaFile {
    SchemaFile { name: name.into(), text: value.to_string() }
}

fn schema(id: &str, attributes: &Value) -> Value {
    json!({"id": id, "name": "Thing", "attributes": attributes})
}

fn loaded(files: &[SchemaFile]) -> Loaded {
    load(files).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn problems(files: &[SchemaFile]) -> String {
    lines(&load(files).expect_err("something is wrong"))
}

/// The problems of a core file with one attribute.
fn of_attribute(attribute: &Value) -> String {
    problems(&[file("core/t.json", &schema("urn:x:t", &json!([attribute])))])
}

fn fixtures(folder: &str) -> Vec<SchemaFile> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("inside").display().to_string();
                files.push(SchemaFile { name, text: std::fs::read_to_string(&path).expect("a file") });
            }
        }
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    files
}

#[test]
fn nothing_is_the_built_in_definitions() {
    assert_eq!(loaded(&[]).registry, Registry::builtin());
}

/// 7643-6-01 7643-7-01
#[test]
fn both_layouts_load() {
    let Loaded { registry, files } = loaded(&fixtures("schemas"));
    let shown = |kind: &Arc<ResourceType>| {
        let required = |required: bool| if required { " (required)" } else { "" };
        let extensions = kind.extensions.iter().map(|one| format!(" + {}{}", one.schema.id, required(one.required)));
        format!("{} {} {}{}", kind.code.0, kind.name, kind.endpoint, extensions.collect::<String>())
    };
    let types: Vec<String> = registry.types().iter().map(shown).collect();
    let sram = "urn:mace:surf.nl:sram:scim:extension:User";
    let expected = [
        format!("1 User /Users + {ENTERPRISE_USER} + {sram} + urn:example:scim:schemas:voPerson:User"),
        "2 Group /Groups + urn:mace:surf.nl:sram:scim:extension:Group".to_owned(),
        "3 Team /Teams + urn:example:scim:schemas:extension:Billing (required)".to_owned(),
        "4 Device /Devices".to_owned(),
    ];
    assert_eq!(types, expected);
    assert_eq!(files.get(sram).map(String::as_str), Some("schemas/extensions/User/sram.json"));
    assert_eq!(files.get("Team").map(String::as_str), Some("schemas/teams.json"));
    let voperson = registry.schema("urn:example:scim:schemas:voPerson:User").expect("voPerson");
    let id = voperson.attribute("voPersonID").expect("an attribute");
    assert_eq!((id.uniqueness, id.returned, id.mutability), (None, Returned::Request, Mutability::Immutable));
    assert_eq!(id.sub_attribute("value").expect("value").uniqueness, Some(Uniqueness::Global));
}

#[test]
fn agents_load_in_the_form_of_the_rfc() {
    let registry = loaded(&fixtures("agents")).registry;
    let agent = registry.by_name("Agent").expect("Agent");
    assert_eq!((agent.code, agent.endpoint.as_str()), (TypeCode(3), "/Agents"));
    assert!(agent.groups().is_some() && agent.members().is_none());
    let group = registry.schema(GROUP).expect("Group");
    let members = group.attribute("members").expect("members");
    let all = ["User", "Group", "AgenticApplication", "Agent"];
    assert_eq!(members.sub_attribute("$ref").expect("$ref").reference_types.len(), 4);
    assert!(all.iter().all(|name| members.sub_attribute("type").expect("type").canonical_values.iter().any(|known| known == name)));
}

/// 7643-2.2-01 7643-2.1-01
#[test]
fn what_a_definition_leaves_out_has_the_rfcs_default() {
    let definition = json!({"ID": "urn:x:t", "name": "T", "Attributes": [{"NAME": "a"}, {"name": "b", "type": "BOOLEAN", "uniqueness": null},
        {"name": "c", "type": "reference", "caseExact": false, "referenceTypes": ["T"]}]});
    let registry = loaded(&[file("core/t.json", &definition)]).registry;
    let attributes = &registry.schema("urn:x:t").expect("a schema").attributes;
    let shown: Vec<Value> = attributes.iter().map(|attribute| serde_json::to_value(attribute).expect("JSON")).collect();
    let usual = json!({"multiValued": false, "description": "", "required": false, "mutability": "readWrite", "returned": "default",
        "uniqueness": "none"});
    let with = |more: Value| {
        let mut whole = usual.as_object().expect("an object").clone();
        whole.extend(more.as_object().expect("an object").clone());
        Value::Object(whole)
    };
    let expected = [
        with(json!({"name": "a", "type": "string", "caseExact": false})),
        with(json!({"name": "b", "type": "boolean"})),
        with(json!({"name": "c", "type": "reference", "caseExact": true, "referenceTypes": ["T"]})),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn endpoints_are_plurals() {
    for (name, endpoint) in
        [("Device", "/Devices"), ("Entity", "/Entities"), ("Key", "/Keys"), ("Access", "/Accesses"), ("Box", "/Boxes")]
    {
        let definition = json!({"id": "urn:x:t", "name": name, "attributes": [{"name": "a"}]});
        let registry = loaded(&[file("core/t.json", &definition)]).registry;
        assert_eq!(registry.by_name(name).map(|kind| kind.endpoint.as_str()), Some(endpoint));
    }
    let definition = json!({"id": "urn:x:t", "name": "A core schema", "attributes": [{"name": "a"}]});
    let registry = loaded(&[file("/srv/core/Thing.json", &definition)]).registry;
    assert_eq!(registry.types()[2].name, "Thing");
}

#[test]
fn a_built_in_schema_given_again_stays_and_gets_stricter() {
    let given = json!({"id": USER.to_uppercase(), "attributes": [
        {"name": "USERNAME", "type": "string"}, {"name": "title", "required": true, "mutability": "immutable", "returned": "request"},
        {"name": "emails", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value"}, {"name": "verified", "type": "boolean"}]},
        {"name": "badge", "uniqueness": "server"}, {"name": "externalId"}]});
    let Loaded { registry, files } = loaded(&[file("User.json", &given)]);
    assert_eq!(files.keys().collect::<Vec<_>>(), [&USER.to_uppercase()]);
    let (before, after) = (Registry::builtin(), registry.by_name("User").expect("User").schema.clone());
    let before = before.schema(USER).expect("User").clone();
    assert_eq!((after.id.as_str(), after.name.as_str(), after.attributes.len()), (USER, "User", before.attributes.len() + 1));
    assert_eq!(after.attribute("userName"), before.attribute("userName"));
    let title = after.attribute("title").expect("title");
    assert_eq!((title.required, title.mutability, title.returned), (true, Mutability::Immutable, Returned::Request));
    let emails = after.attribute("emails").expect("emails");
    assert_eq!(emails.sub_attributes.len(), 1 + before.attribute("emails").expect("emails").sub_attributes.len());
    assert_eq!(emails.sub_attribute("verified").expect("verified").kind, Type::Boolean);
    let otherwise = json!({"id": USER, "attributes": [{"name": "active", "type": "string"}, {"name": "password"},
        {"name": "nickName", "returned": "never"}, {"name": "title", "mutability": "readOnly"},
        {"name": "emails", "type": "complex", "subAttributes": [{"name": "value", "type": "integer"}]}]});
    insta::assert_snapshot!(problems(&[file("User.json", &otherwise)]), @r#"
        User.json: attributes[0].type: expected boolean, as in the built-in definition of 'active'
        User.json: attributes[1].mutability: expected writeOnly, as in the built-in definition of 'password'
        User.json: attributes[1].returned: expected never, as in the built-in definition of 'password'
        User.json: attributes[2].returned: expected always, default or request, as in the built-in definition of 'nickName'
        User.json: attributes[3].mutability: expected readWrite or immutable, as in the built-in definition of 'title'
        User.json: attributes[4].multiValued: expected true, as in the built-in definition of 'emails'
        User.json: attributes[4].subAttributes[0].type: expected string, as in the built-in definition of 'value'
        "#);
}

#[test]
fn the_servers_own_schemas_load_again() {
    let registry = loaded(&fixtures("schemas")).registry;
    let all: Vec<Value> = registry.schemas().iter().map(|schema| serde_json::to_value(schema).expect("JSON")).collect();
    let types = registry.types().iter().map(|kind| {
        let extensions =
            kind.extensions.iter().map(|extension| json!({"schema": extension.schema.id, "required": extension.required}));
        json!({"name": kind.name, "endpoint": kind.endpoint, "description": kind.description, "schema": kind.schema.id,
            "schemaExtensions": extensions.collect::<Vec<_>>()})
    });
    let files = [file("all.json", &Value::Array(all)), file("types.json", &types.collect::<Value>())];
    let again = loaded(&files).registry;
    let names = |registry: &Registry| registry.types().iter().map(|kind| kind.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&again), names(&registry));
    for schema in registry.schemas().iter().filter(|schema| schema.id != GROUP) {
        assert_eq!(again.schema(&schema.id), Some(schema));
    }
}

#[test]
fn what_is_not_json_is_shown_by_line_and_column() {
    let text = |text: &str| problems(&[SchemaFile { name: "a.json".into(), text: text.into() }]);
    assert_eq!(text("{\n \"id\": x}"), "a.json: expected JSON: expected value at line 2 column 8");
    assert_eq!(
        text("{\"id\": 1, \"id\": 2}"),
        "a.json: expected JSON: the name 'id' stands twice in one object at line 1 column 18"
    );
    assert_eq!(text(""), "a.json: expected JSON: EOF while parsing a value at line 1 column 0");
    insta::assert_snapshot!(text("[1, {\"name\": \"x\"}, []]"), @r#"
        a.json: [0]: expected a Schema (id, attributes), a ResourceType (name, endpoint, schema), an array or a ListResponse of them, found 1
        a.json: [1]: expected a Schema (id, attributes), a ResourceType (name, endpoint, schema), an array or a ListResponse of them
        a.json: [2]: expected a Schema (id, attributes), a ResourceType (name, endpoint, schema), an array or a ListResponse of them, found an array
        "#);
}

/// 7643-2.1-01 7643-2.3.8-01 7643-2.3-01
#[test]
fn each_attribute_that_is_wrong_is_named_with_its_place() {
    let complex = |subs: Value| json!({"name": "c", "type": "complex", "subAttributes": subs});
    let wrong = [
        json!("text"),
        json!({}),
        json!({"name": "1a"}),
        json!({"name": "$ref", "type": "reference"}),
        json!({"name": "a", "type": "booelean"}),
        json!({"name": "a", "type": 7, "mutability": "never", "returned": [], "uniqueness": true}),
        json!({"name": "a", "multiValued": "yes", "required": 1, "caseExact": "no", "canonicalValues": "x", "description": {}}),
        json!({"name": "a", "returnd": "never", "Name": "b"}),
        json!({"name": "a", "type": "complex"}),
        complex(json!([])),
        complex(json!({"name": "a"})),
        complex(json!([{"name": "a"}, {"name": "A"}])),
        complex(json!([{"name": "a", "type": "complex", "subAttributes": [{"name": "b"}]}])),
        complex(json!([{"name": "a", "returned": "never"}])),
        json!({"name": "a", "subAttributes": [{"name": "b"}]}),
        json!({"name": "c", "type": "complex", "uniqueness": "server", "subAttributes": [{"name": "a"}]}),
        json!({"name": "a", "type": "boolean", "uniqueness": "global"}),
        json!({"name": "a", "mutability": "writeOnly"}),
        json!({"name": "a", "mutability": "writeOnly", "returned": "default"}),
        json!({"name": "a", "type": "integer", "returned": "never"}),
        json!({"name": "a", "multiValued": true, "returned": "never"}),
        json!({"name": "a", "returned": "never", "uniqueness": "server"}),
        json!({"name": "ID", "type": "integer"}),
        json!({"name": "meta"}),
        json!({"name": "members", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value"}, {"name": "role"}]}),
    ];
    let shown: Vec<String> = wrong.iter().map(of_attribute).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
        core/t.json: attributes[0]: expected the definition of an attribute, found 'text'
        core/t.json: attributes[0].name: expected a text, found nothing
        core/t.json: attributes[0].name: expected a letter, then letters, digits, '-', '_' or '$', found '1a'
        core/t.json: attributes[0].name: expected a letter, then letters, digits, '-', '_' or '$', found '$ref'
        core/t.json: attributes[0].type: expected one of string, boolean, decimal, integer, dateTime, binary, reference, complex, found 'booelean'
        core/t.json: attributes[0].type: expected one of string, boolean, decimal, integer, dateTime, binary, reference, complex, found 7
        core/t.json: attributes[0].mutability: expected one of readOnly, readWrite, immutable, writeOnly, found 'never'
        core/t.json: attributes[0].returned: expected one of always, never, default, request, found an array
        core/t.json: attributes[0].uniqueness: expected one of none, server, global, found true
        core/t.json: attributes[0].multiValued: expected true or false, found 'yes'
        core/t.json: attributes[0].description: expected a text, found an object
        core/t.json: attributes[0].required: expected true or false, found 1
        core/t.json: attributes[0].canonicalValues: expected an array of texts, found 'x'
        core/t.json: attributes[0].caseExact: expected true or false, found 'no'
        core/t.json: attributes[0].returnd: expected one of the members name, type, subAttributes, multiValued, description, required, canonicalValues, caseExact, mutability, returned, uniqueness, referenceTypes
        core/t.json: attributes[0].Name: stands twice in one object, in two spellings
        core/t.json: attributes[0].subAttributes: expected at least one sub-attribute, since the type is complex
        core/t.json: attributes[0].subAttributes: expected at least one sub-attribute, since the type is complex
        core/t.json: attributes[0].subAttributes: expected an array, found an object
        core/t.json: attributes[0].subAttributes: expected at least one sub-attribute, since the type is complex
        core/t.json: attributes[0].subAttributes[1].name: expected a name that no other attribute here has in any case, found 'A'
        core/t.json: attributes[0].subAttributes[0].type: a complex attribute cannot hold a complex one (RFC 7643 §2.3.8): expected another type
        core/t.json: attributes[0].subAttributes[0].returned: expected not never: only whole attributes can be secret, not a part of a complex one
        core/t.json: attributes[0].subAttributes: expected none, since the type is not complex
        core/t.json: attributes[0].uniqueness: expected none: a complex attribute has no uniqueness, and this one no 'value'
        core/t.json: attributes[0].uniqueness: expected none: this type has no uniqueness (RFC 7643 §2.3)
        core/t.json: attributes[0].returned: expected never, since the mutability is writeOnly
        core/t.json: attributes[0].returned: expected never, since the mutability is writeOnly
        core/t.json: attributes[0].returned: expected not never: only a single string can be secret
        core/t.json: attributes[0].returned: expected not never: only a single string can be secret
        core/t.json: attributes[0].uniqueness: expected none: a secret is kept as a hash, which cannot be compared
        core/t.json: attributes[0].name: expected another name: 'id' is an attribute of every resource (RFC 7643 §3)
        core/t.json: attributes[0].name: expected another name: 'meta' is an attribute of every resource (RFC 7643 §3)
        core/t.json: attributes: expected only the parts value, $ref, display and type of 'members', found 'role'
        "#);
}

/// Files that hold everything that can be wrong between definitions.
fn misfits() -> [SchemaFile; 8] {
    let attributes = json!([{"name": "a"}]);
    let kind = |name: &str, endpoint: &str, urn: &str| json!({"name": name, "endpoint": endpoint, "schema": urn});
    [
        file(
            "1.json",
            &json!([{"id": "x", "attributes": []}, {"attributes": 7}, {"id": "urn:x", "attributes": [{"name": "a"}, {"name": "A"}]}]),
        ),
        file("2.json", &json!({"Resources": [schema("urn:x:t", &attributes), schema("URN:X:T", &attributes), {"name": "z"}]})),
        file(
            "3.json",
            &json!([
                kind("T", "/Ts", "urn:x:t"),
                kind("t", "/Tees", "urn:x:t"),
                kind("U", "/ts", "urn:x:t"),
                kind("V", "/Vs", "urn:x:nothing"),
                kind("User", "/People", GROUP),
                kind("Bad name", "Bads", "urn:x:t"),
                kind("Schema", "/Bulk", "urn:x:t"),
                kind("W", "/openapi.json", "urn:x:t"),
                kind("X", "/.search", "urn:x:t"),
                kind("Y", "/a/b", "urn:x:t"),
                kind("", "", "")
            ]),
        ),
        file(
            "4.json",
            &json!({"name": "E", "endpoint": "/Es", "schema": "urn:x:t", "schemaExtensions": [{"schema": "urn:x:t"},
            {"schema": "urn:x:e", "required": 0}, {"schema": ENTERPRISE_USER}, {"schema": ENTERPRISE_USER}, {"scheme": "urn:x:e"}, 1]}),
        ),
        file("extensions/Robot/r.json", &schema("urn:x:r", &attributes)),
        file("extensions/User/core.json", &schema(USER, &json!([{"name": "userName"}]))),
        file("unused.json", &schema("urn:x:unused", &attributes)),
        file("core/Group.json", &json!({"id": "urn:x:group", "name": "Group", "attributes": attributes})),
    ]
}

#[test]
fn schemas_and_types_that_do_not_fit_are_named_all_at_once() {
    insta::assert_snapshot!(problems(&misfits()), @r#"
        1.json: [0].id: expected a URN such as urn:example:scim:schemas:Device, found 'x'
        1.json: [0].attributes: expected at least one attribute
        1.json: [1].id: expected a text, found nothing
        1.json: [1].attributes: expected an array, found 7
        1.json: [2].id: expected a URN such as urn:example:scim:schemas:Device, found 'urn:x'
        1.json: [2].attributes[1].name: expected a name that no other attribute here has in any case, found 'A'
        2.json: Resources[2]: expected a Schema (id, attributes), a ResourceType (name, endpoint, schema), an array or a ListResponse of them
        3.json: [10].name: expected a text, found ''
        3.json: [10].endpoint: expected a text, found ''
        3.json: [10].schema: expected a text, found ''
        4.json: schemaExtensions[1].required: expected true or false, found 0
        4.json: schemaExtensions[4].scheme: expected one of the members schema, required
        4.json: schemaExtensions[4].schema: expected a text, found nothing
        4.json: schemaExtensions[5]: expected an object with schema and required, found 1
        2.json: Resources[1].id: expected a schema that is given once, found 'URN:X:T' also in 2.json
        3.json: [1].name: expected a resource type that is given once, found 'T' also in 3.json
        3.json: [2].endpoint: expected another endpoint: '/Ts' is that of the resource type T
        3.json: [3].schema: expected the id of a schema that is built in or given in a file, found 'urn:x:nothing'
        3.json: [4].schema: expected 'urn:ietf:params:scim:schemas:core:2.0:User', as in the built-in type
        3.json: [4].endpoint: expected '/Users', as in the built-in type
        3.json: [5].name: expected a name of letters and digits, found 'Bad name'
        3.json: [5].endpoint: expected a slash and one segment that begins with a letter, such as /Devices, found 'Bads'
        3.json: [6].name: expected another name: 'Schema' is the server's own
        3.json: [6].endpoint: expected another endpoint: '/Bulk' is the server's own
        3.json: [7].endpoint: expected another endpoint: '/openapi.json' is the server's own
        3.json: [8].endpoint: expected a slash and one segment that begins with a letter, such as /Devices, found '/.search'
        3.json: [9].endpoint: expected a slash and one segment that begins with a letter, such as /Devices, found '/a/b'
        4.json: schemaExtensions[0].schema: expected another schema than the type's own
        4.json: schemaExtensions[1].schema: expected the id of a schema that is built in or given in a file, found 'urn:x:e'
        4.json: schemaExtensions[3].schema: expected each extension once, found 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User' again
        extensions/Robot/r.json: the folder extensions/Robot: expected the name of a resource type (User, Group, T, U, V, Bad name, Schema, W, X, Y, E)
        extensions/User/core.json: id: expected another schema than the type's own
        core/Group.json: name: expected another name: there is a resource type Group already, of 'urn:ietf:params:scim:schemas:core:2.0:Group'
        1.json: [0].id: expected a resource type that has this schema or is extended by it: give a ResourceType, or put the file into core/ or extensions/<type>/
        1.json: [2].id: expected a resource type that has this schema or is extended by it: give a ResourceType, or put the file into core/ or extensions/<type>/
        unused.json: id: expected a resource type that has this schema or is extended by it: give a ResourceType, or put the file into core/ or extensions/<type>/
        "#);
}

#[test]
fn a_schema_of_very_many_attributes_is_refused() {
    let many: Vec<Value> =
        (0..=crate::base::limits::SCHEMA_ATTRIBUTES).map(|number| json!({"name": format!("a{number}")})).collect();
    let found = problems(&[file("core/t.json", &schema("urn:x:t", &json!(many)))]);
    assert_eq!(found, "core/t.json: attributes: expected at most 2000 attributes, sub-attributes included, found 2001");
}
