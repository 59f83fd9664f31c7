"""The methods of the embedded gateway by family: which name needs which scope and is performed by what.

A family is a function that returns its methods by name. `methods.Methods` asks each of them, and keeps those that the
release has, as `method_schema` says.
"""
