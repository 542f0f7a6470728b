"""The commands by name: where each lives, and the line that ``mgit --help`` shows for it.

Names and lines stand here, apart from the modules, so that help does not import what a command needs.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMMANDS", "SECTIONS", "CommandEntry"]


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command.

    Attributes:
        name: What a user types.
        module: Module whose ``app`` has it.
        line: First line of its help.
    """

    name: str
    module: str
    line: str


SECTIONS: dict[str, tuple[CommandEntry, ...]] = {
    "Local stack": (
        CommandEntry("up", "mgit.cli.stack", "Start the local stack: Neo4j and the service."),
        CommandEntry("down", "mgit.cli.stack", "Stop the local stack; all that is stored stays."),
        CommandEntry("status", "mgit.cli.stack", "Say where the stack is and whether its parts answer."),
        CommandEntry("browser", "mgit.cli.browsing", "Open the lineage graph in the Neo4j Browser."),
        CommandEntry("serve", "mgit.cli.stack", "Run the service alone, in the foreground."),
    ),
    "Models": (
        CommandEntry("add", "mgit.cli.transfer", "Add a model from a file or folder."),
        CommandEntry("create", "mgit.cli.rebuilding", "Make a model with a creation function and add it."),
        CommandEntry(
            "rebuild", "mgit.cli.rebuilding", "Run the creation function of a model again, and compare."
        ),
        CommandEntry("get", "mgit.cli.transfer", "Write a model back to a file or folder."),
        CommandEntry("ls", "mgit.cli.catalog", "List the latest version of each model."),
        CommandEntry("show", "mgit.cli.catalog", "Describe a model with its parents and tensors."),
        CommandEntry("log", "mgit.cli.catalog", "List the versions of a model, newest first."),
        CommandEntry("tag", "mgit.cli.catalog", "List, set, move or delete tags."),
        CommandEntry("rm", "mgit.cli.catalog", "Remove a model; its number is never given again."),
    ),
    "Lineage": (
        CommandEntry("link", "mgit.cli.edges", "Add an edge from a child to a parent."),
        CommandEntry("unlink", "mgit.cli.edges", "Delete edges between a child and a parent."),
        CommandEntry(
            "ancestors", "mgit.cli.walks", "List what a model was made from, over any number of hops."
        ),
        CommandEntry(
            "descendants", "mgit.cli.walks", "List what was made from a model, over any number of hops."
        ),
        CommandEntry("walk", "mgit.cli.walking", "List the models of a lineage, each once, in an order."),
        CommandEntry("lineage", "mgit.cli.walks", "Show the lineage around models as a tree."),
        CommandEntry("merge", "mgit.cli.merging", "Merge two models against their common ancestor."),
        CommandEntry("merge-base", "mgit.cli.walks", "Find where the lineages of two models meet."),
        CommandEntry("infer", "mgit.cli.inferring", "Find what models were made from, by their weights."),
        CommandEntry("diff", "mgit.cli.diffing", "Tell what differs between two models."),
        CommandEntry("graph", "mgit.cli.drawing", "Draw the lineage around models."),
    ),
    "Updates": (
        CommandEntry(
            "update", "mgit.cli.updating", "Make anew what was made from a model, when the model is updated."
        ),
        CommandEntry(
            "worker", "mgit.cli.updating", "Help with updates that run: take steps, make models, test them."
        ),
    ),
    "Tests and bugs": (
        CommandEntry("test", "mgit.cli.testing", "Register tests of models, run them, and look at results."),
        CommandEntry("bug", "mgit.cli.bugs", "Report bugs, record fixes, and find who inherits them."),
        CommandEntry(
            "bisect", "mgit.cli.bisecting", "Find the first bad model among a model and its ancestors."
        ),
    ),
    "Other services": (
        CommandEntry("clone", "mgit.cli.collaborating", "Add a service as a remote, and pull from it."),
        CommandEntry("push", "mgit.cli.collaborating", "Send models, with what they were made from."),
        CommandEntry("pull", "mgit.cli.collaborating", "Fetch models, with what they were made from."),
        CommandEntry("remote", "mgit.cli.collaborating", "Name the services to push to and pull from."),
    ),
    "Store": (
        CommandEntry("stats", "mgit.cli.storage", "Add up the bytes of the store or of a model."),
        CommandEntry("uses", "mgit.cli.storage", "List the models that hold a tensor."),
        CommandEntry("duplicates", "mgit.cli.storage", "List models with exactly equal parameters."),
        CommandEntry("gc", "mgit.cli.maintenance", "Delete what no model needs."),
        CommandEntry("repack", "mgit.cli.maintenance", "Encode densely what was stored fast."),
        CommandEntry("fsck", "mgit.cli.maintenance", "Check everything that is stored, and repair it."),
        CommandEntry(
            "doctor", "mgit.cli.auditing", "Look through the graph for what its database cannot forbid."
        ),
        CommandEntry("cypher", "mgit.cli.auditing", "Ask the graph in Cypher, if MGIT_AUDIT is on."),
    ),
}
COMMANDS: dict[str, CommandEntry] = {entry.name: entry for entries in SECTIONS.values() for entry in entries}
