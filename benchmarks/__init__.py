"""Measuring twins: one model written in PyTorch and in Keras, proven equal, timed interleaved.

The words used everywhere:

* *model, twin*: a model folder; its implementation in one dialect (``torch`` or ``keras``).
* *task*: what a model computes, in no framework's terms: inputs, targets, loss, optimizer, sizes.
* *framework*: the one folder that knows it; *mode*: how it runs a twin (``eager``, ``graph``...).
* *trainer*: who drives training: the plain loop, Keras' ``fit``, or one of the user's.
* *stack*: framework and mode, what a user picks: ``torch-eager``, ``tensorflow-graph``...; with
  ``+trainer`` behind it where it is not the usual one.
* *phase*: what is timed: ``forward``, ``backward``, ``train_step``, ``dataload``, ``epoch``...
* *policy*: ``matched``, ``defaults`` or ``best``; never mixed in one ratio.
* *matchup*: model, phase, batch, precision, device and policy: all that must be equal.
* *case*: one stack in one matchup; its id is stable for ever, because it keys the history.
* *launch*: one fresh set of worker processes; the unit of replication.
* *round, turn, sample*: in a round every stack gets one turn; a turn is k iterations between two
  device synchronisations; its time divided by k is a sample.
* *verdict*: ``faster``, ``slower``, ``no call`` or ``not comparable``.
"""
