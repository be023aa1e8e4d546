"""Stacks, their resources, events and change sets as they are kept. Keys that begin with `_` are not shown."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import AwsError
from ..store import Store
from .intrinsics import invalid

STACKS_MAX = 200
DELETED_KEPT_MAX = 100
EVENTS_KEPT_MAX = 5000
GONE = "DELETE_COMPLETE"
REVIEW = "REVIEW_IN_PROGRESS"


class Records:
    """Over the store. A document that was saved is on disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.transaction = store.transaction

    def find(self, name: str) -> dict[str, Any]:
        """A stack by its name, if it is not deleted, or by its id.

        Raises:
            AwsError: ValidationError, in the words that clients look for.
        """
        found = self._store.documents("SELECT document FROM stacks WHERE id = ?", name) or [
            each for each in self._named(name) if each["StackStatus"] != GONE
        ]
        if not found:
            raise invalid(f"Stack with id {name} does not exist")
        return found[-1]

    def _named(self, name: str) -> list[dict[str, Any]]:
        return self._store.documents("SELECT document FROM stacks WHERE name = ? ORDER BY number", name)

    def stacks(self) -> list[dict[str, Any]]:
        """All, newest first; deleted ones among them."""
        return self._store.documents("SELECT document FROM stacks ORDER BY number DESC")

    def add(self, stack: Mapping[str, Any]) -> None:
        """Keep a new stack; the oldest deleted ones are forgotten.

        Raises:
            AwsError: LimitExceededException.
        """
        with self.transaction() as connection:
            known = self.stacks()
            if sum(each["StackStatus"] != GONE for each in known) >= STACKS_MAX:
                raise AwsError("LimitExceededException", f"There are {STACKS_MAX} stacks.")
            for each in [each for each in known if each["StackStatus"] == GONE][DELETED_KEPT_MAX:]:
                connection.execute("DELETE FROM stacks WHERE id = ?", (each["StackId"],))
            row = (stack["StackId"], stack["StackName"], json.dumps(stack))
            connection.execute("INSERT INTO stacks (id, name, document) VALUES (?, ?, ?)", row)

    def save(self, stack: Mapping[str, Any]) -> None:
        """Keep a stack's document."""
        with self.transaction() as connection:
            row = (json.dumps(stack), stack["StackId"])
            connection.execute("UPDATE stacks SET document = ? WHERE id = ?", row)

    def set_status(self, stack: dict[str, Any], status: str, reason: str = "") -> None:
        """Change a stack's state, with the event that says so."""
        with self.transaction():
            stack["StackStatus"] = status
            stack["StackStatusReason"] = reason
            self.save(stack)
            self.event(
                stack,
                {
                    "LogicalResourceId": stack["StackName"],
                    "PhysicalResourceId": stack["StackId"],
                    "ResourceType": "AWS::CloudFormation::Stack",
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                },
            )

    def resources(self, stack: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Resources by logical id, in the order of their first creation; deleted ones among them."""
        sql = "SELECT document FROM stack_resources WHERE stack = ? ORDER BY number"
        found = self._store.documents(sql, stack["StackId"])
        return {each["LogicalResourceId"]: each for each in found}

    def save_resource(self, stack: Mapping[str, Any], resource: dict[str, Any], *, say: bool = True) -> None:
        """Keep a resource's document, with the event of its state."""
        with self.transaction() as connection:
            resource["Timestamp"] = time.time()
            row = (stack["StackId"], resource["LogicalResourceId"], json.dumps(resource))
            connection.execute(
                "INSERT INTO stack_resources (stack, logical_id, document) VALUES (?, ?, ?) "
                "ON CONFLICT (stack, logical_id) DO UPDATE SET document = excluded.document",
                row,
            )
            if say:
                self.event(stack, resource)

    def forget_resource(self, stack: Mapping[str, Any], logical_id: str) -> None:
        """Remove a resource's document."""
        with self.transaction() as connection:
            where = (stack["StackId"], logical_id)
            connection.execute("DELETE FROM stack_resources WHERE stack = ? AND logical_id = ?", where)

    def event(self, stack: Mapping[str, Any], of: Mapping[str, Any]) -> None:
        """Keep an event of a stack or a resource."""
        shown = ("LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus", "ResourceStatusReason")
        event = {
            "StackId": stack["StackId"],
            "StackName": stack["StackName"],
            "EventId": str(uuid.uuid4()),
            "Timestamp": time.time(),
            **{key: of[key] for key in shown if of.get(key)},
        }
        with self.transaction() as connection:
            row = (stack["StackId"], json.dumps(event))
            connection.execute("INSERT INTO stack_events (stack, document) VALUES (?, ?)", row)
            connection.execute(
                "DELETE FROM stack_events WHERE stack = ?1 AND number <= "
                "(SELECT number FROM stack_events WHERE stack = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                (stack["StackId"], EVENTS_KEPT_MAX),
            )

    def events(self, stack: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Newest first."""
        sql = "SELECT document FROM stack_events WHERE stack = ? ORDER BY number DESC"
        return self._store.documents(sql, stack["StackId"])

    def change_sets(self, stack: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A stack's change sets, oldest first."""
        sql = "SELECT document FROM change_sets WHERE stack = ? ORDER BY number"
        return self._store.documents(sql, stack["StackId"])

    def all_change_sets(self) -> Iterable[dict[str, Any]]:
        """Those of every stack."""
        return self._store.documents("SELECT document FROM change_sets ORDER BY number")

    def find_change_set(self, name: str, stack_name: str | None) -> dict[str, Any]:
        """A change set by its id, or by its name and its stack's.

        Raises:
            AwsError: ChangeSetNotFound.
        """
        found = self._store.documents("SELECT document FROM change_sets WHERE id = ?", name)
        if not found and stack_name:
            found = [each for each in self.change_sets(self.find(stack_name)) if each["ChangeSetName"] == name]
        if not found:
            raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", status=404)
        return found[0]

    def save_change_set(self, change_set: Mapping[str, Any]) -> None:
        """Keep a change set's document."""
        row = (
            change_set["ChangeSetId"], change_set["StackId"], change_set["ChangeSetName"], json.dumps(change_set),
        )  # fmt: skip
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO change_sets (id, stack, name, document) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET document = excluded.document",
                row,
            )

    def remove_change_sets(self, *identities: str) -> None:
        """Forget change sets."""
        with self.transaction() as connection:
            for each in identities:
                connection.execute("DELETE FROM change_sets WHERE id = ?", (each,))
