"""Networks, Programs and spikes as folders of JSON and npz; no pickle anywhere.

In: records, or files of strangers. Out: files, or records that were checked.
"""
