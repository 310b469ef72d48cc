//! The cost of adding one member to a large group and to a small one, as one client sees it.

use crate::Result;
use crate::client::Connection;
use crate::lab::Lab;
use crate::limits;
use crate::person::{self, Person};
use crate::random::Random;
use crate::report::{Line, median};
use crate::server::Server;
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;

/// The median time of an addition, in microseconds, by turns in both groups. Between two, the member is removed again, so that
/// the small group stays small.
pub(crate) async fn measure(lab: &Lab, server: &Server, people: &[Person]) -> Result<Line> {
    let mut client = Client { connection: Connection::open(server.address).await? };
    let (large_size, small_size) = (lab.scale.members_large, lab.scale.members_small);
    let large = client.group("large", people.get(..large_size).ok_or("too few users for the large group")?).await?;
    let small = client.group("small", &people[..small_size]).await?;
    let mut random = Random::new();
    let mut rounds = Vec::new();
    for _ in 0..lab.scale.rounds {
        let (mut in_large, mut in_small) = (Vec::new(), Vec::new());
        for _ in 0..lab.scale.members_added {
            let person = client.user(random.next()).await?;
            in_large.push(client.add(large, person).await?);
            in_small.push(client.add(small, person).await?);
            client.remove(large, person).await?;
            client.remove(small, person).await?;
        }
        rounds.push((median(in_large), median(in_small)));
    }
    let name = format!("add a member, group of {large_size} / of {small_size}, us");
    Ok(Line::of_rounds(name, &rounds, limits::MEMBER_LARGE_TO_SMALL, "one client; includes HTTP and the sync".into()))
}

struct Client {
    connection: Connection,
}

impl Client {
    async fn user(&mut self, token: u64) -> Result<Uuid> {
        self.write("POST", "/Users", &person::new_user(token)).await?;
        Ok(person::read_person(self.connection.body())?.id)
    }

    async fn group(&mut self, name: &str, people: &[Person]) -> Result<Uuid> {
        let members: Vec<Value> = people.iter().map(|person| json!({"value": person.id.to_string()})).collect();
        let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members});
        self.write("POST", "/Groups?attributes=displayName", &group.to_string()).await?;
        let answer: Value = serde_json::from_slice(self.connection.body())?;
        Ok(answer.get("id").and_then(Value::as_str).ok_or("a group without id")?.parse()?)
    }

    /// The time it took, in microseconds.
    async fn add(&mut self, group: Uuid, member: Uuid) -> Result<f64> {
        let operation = json!({"op": "add", "path": "members", "value": [{"value": member.to_string()}]});
        let start = Instant::now();
        self.patch(group, &operation).await?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    }

    async fn remove(&mut self, group: Uuid, member: Uuid) -> Result<()> {
        self.patch(group, &json!({"op": "remove", "path": format!("members[value eq \"{member}\"]")})).await
    }

    /// The answer shows no members in either group: by default a small group's does and a large one's does not.
    async fn patch(&mut self, group: Uuid, operation: &Value) -> Result<()> {
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
        self.write("PATCH", &format!("/Groups/{group}?attributes=displayName"), &body.to_string()).await
    }

    async fn write(&mut self, method: &str, target: &str, body: &str) -> Result<()> {
        let mut request = Vec::new();
        person::request(&mut request, method, format_args!("{target}"), body);
        self.connection.succeed(&request).await
    }
}
