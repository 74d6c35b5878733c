"""Names for containers that nobody named: an adjective and a tool, boat or bird."""

import os

_ADJECTIVES = (
    "able agile amber apt bold brave brisk calm candid civil clever cosy crisp deft eager early "
    "fair fine fleet fond frank free fresh gentle glad golden grand happy hardy honest humble "
    "jolly just keen kind light lively loyal lucid mellow merry mild modest neat nimble noble "
    "patient plain polite prompt proud quick quiet ready robust rosy ruby sage serene sharp "
    "silver sleek smart snug sober solid spry stable steady still sturdy subtle sunny swift tidy "
    "tough trim true upbeat valid vivid warm wise witty young zesty"
).split()
_NOUNS = (
    "anchor anvil barge beacon bobbin bridge buoy canoe cedar chisel clipper compass condor crane "
    "curlew cutter dinghy dory dunlin egret falcon ferry finch forge frigate galley gannet gull "
    "hammer harbor harrier hatch heron hoist hull ibis jetty kayak keel kestrel kite ladder "
    "lantern lathe lever loom magpie mallet martin mast merlin mortar oriole osprey otter paddle "
    "parcel petrel pier pilot pinion plover pulley puffin quay quill raft rigger robin rudder "
    "sampan schooner sextant shuttle skiff sloop snipe spanner sparrow spindle starling swallow "
    "swift tanager tern thrush tiller toucan trawler trowel tug vessel vise wagtail warbler wharf "
    "willow winch wren yawl"
).split()


def random_name() -> str:
    """As "keen_heron"; some 9,000 of them."""
    number = int.from_bytes(os.urandom(4), "little")
    number, adjective = divmod(number, len(_ADJECTIVES))
    return f"{_ADJECTIVES[adjective]}_{_NOUNS[number % len(_NOUNS)]}"
